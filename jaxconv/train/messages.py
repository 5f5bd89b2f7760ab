"""What a run says on the screen."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from jaxconv._core.extras import needs
from jaxconv.models import Params
from jaxconv.train.changes import said
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.record import Epoch, best_of
from jaxconv.train.trained import PICTURE_CHANNELS

with needs("train"):
    from rich.table import Table

MOST_NAMED = 20
"""As many classes are named at the beginning."""


def headline(config: Config, dataset: Dataset, params: Params) -> str:
    """Say what is trained, and on what."""
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    narrow = "" if config.precision == "float32" else f" in {config.precision}"
    several = "" if config.devices == 1 else f"{config.devices} × "
    return (
        f"{config.model} ({size:,} parameters) on {config.title}:"
        f" {len(dataset.train_labels):,} images to train on, {len(dataset.test_labels):,} held out;"
        f" {config.gradients} gradients{narrow}, {several}{jax.devices()[0].device_kind}"
    )


def classes(dataset: Dataset) -> str:
    """Name the classes, and say how many images of each there are to train on."""
    counts = np.bincount(dataset.train_labels, minlength=dataset.classes)
    named = [f"{name} ({n:,})" for name, n in zip(dataset.names, counts, strict=True)]
    more = [f"and {len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
    return f"classes, with their images to train on: {', '.join(named[:MOST_NAMED] + more)}"


def changes(config: Config) -> str:
    """Say how the training images are changed."""
    return f"training images are {said(config) or 'not changed'}"


def line(epoch: Epoch, config: Config) -> str:
    """Say what an epoch achieved."""
    return (
        f"epoch {epoch.epoch:{len(str(config.epochs))}}/{config.epochs}"
        f"  loss {number(epoch.loss)}"
        f"  train {epoch.train_accuracy:7.2%}"
        f"  test {epoch.test_accuracy:7.2%}"
        f"  {epoch.images_per_second:9,.0f} images/s"
    )


def number(loss: float) -> str:
    """Return a loss with four digits, also if it is small."""
    return f"{loss:.4f}" if loss >= 0.001 else f"{loss:.1e}"


def done(taken: int, steps: int, config: Config) -> str:
    """Say how many epochs and steps are done after `taken` steps, of which an epoch has `steps`."""
    epochs, more = divmod(taken, steps)
    also = f" and {more} of {steps} steps of the next one" if more else ""
    return f"{epochs} of {config.epochs} epochs{also}"


def interrupted(far: str, folder: Path) -> str:
    """Say how to go on with a run that the user has stopped; `far` is what `done` says of it."""
    return f"interrupted after {far}; to continue: python -m jaxconv.train --resume {folder}"


def stalled(epochs: Sequence[Epoch], config: Config) -> str:
    """Say why a run has stopped early."""
    best = best_of(epochs)
    return (
        f"stopped: the accuracy on the held-out images has not risen for {config.patience} epochs;"
        f" the best was {best.test_accuracy:.2%} after epoch {best.epoch}"
    )


def next_commands(folder: Path, channels: int) -> str:
    """Say what can be done with a network of images with this many channels."""
    ask = f"\nask it about a picture:  python -m jaxconv.predict {folder} PICTURE"
    return (
        f"{ask if channels in PICTURE_CHANNELS else ''}"
        f"\naccuracy by class:       python -m jaxconv.evaluate {folder}"
    )


def summary(config: Config, dataset: Dataset, epochs: Sequence[Epoch], folder: Path) -> Table:
    """Say what the run achieved, and where its files are."""
    last, held = epochs[-1], len(dataset.test_labels)
    images = len(dataset.train_labels)
    seconds = sum(images / epoch.images_per_second for epoch in epochs)
    correct = round(last.test_accuracy * held)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row(
        "test accuracy", f"{last.test_accuracy:.2%} ({correct:,} of {held:,} held-out images)"
    )
    if dataset.last is not None:
        table.add_row("for the end", f"{len(dataset.last[1]):,} images: python -m jaxconv.evaluate")
    best = best_of(epochs)
    if best is not last:
        table.add_row(
            "best epoch", f"{best.epoch}: {best.test_accuracy:.2%}, which predict and evaluate take"
        )
    table.add_row("training loss", number(last.loss))
    table.add_row(
        "training time",
        f"{seconds:.1f} s without compiling, {len(epochs) * images / seconds:,.0f} images/s",
    )
    table.add_row("gradients", config.gradients)
    names = ", ".join(sorted(path.name for path in folder.glob("[!.]*")))
    table.add_row("written to", f"{folder}/  ({names})")
    return table
