"""`metrics.csv`: a line for each epoch."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxconv._core.files import replacing

METRICS = "metrics.csv"


class Epoch(NamedTuple):
    """One line of metrics.csv."""

    epoch: int
    loss: float
    """Mean cross-entropy over the epoch's batches, each before its step."""
    train_accuracy: float
    """Accuracy over the epoch's batches, each before its step."""
    test_accuracy: float
    """Accuracy on the held-out images, after the epoch."""
    images_per_second: float
    """Training images per second, not counting evaluation and compilation."""
    test_loss: float = math.nan
    """Mean cross-entropy of the held-out images, after the epoch."""
    learning_rate: float = math.nan
    """Learning rate of the first step of the epoch."""


def best_of(epochs: Sequence[Epoch]) -> Epoch:
    """Return the epoch with the best accuracy on the held-out images, and then the lowest loss."""
    return max(epochs, key=lambda epoch: (epoch.test_accuracy, -epoch.test_loss))


def save_metrics(path: Path, epochs: list[Epoch]) -> None:
    """Save all epochs so far, as CSV."""
    with replacing(path) as beside, beside.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Epoch._fields)
        writer.writerows(epochs)


def load_metrics(path: Path, count: int) -> list[Epoch]:
    """Return the first `count` epochs of a metrics.csv, which need not exist if there are none.

    Raises:
        ValueError: the file has fewer epochs, or is not such a file.
    """
    if not count:
        return []
    try:
        with path.open(newline="") as file:
            _, *rows = csv.reader(file)
        epochs = [Epoch(int(number), *map(float, values)) for number, *values in rows[:count]]
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a table of epochs: {error}") from None
    if [epoch.epoch for epoch in epochs] != list(range(1, count + 1)):
        numbers = ", ".join(str(epoch.epoch) for epoch in epochs) or "none"
        raise ValueError(f"{path} should have the epochs 1 to {count}, but has {numbers}")
    return epochs
