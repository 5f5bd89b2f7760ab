"""Whether both gradients agree, said and shown."""

import jax.numpy as jnp

from jaxconv._core.extras import needs
from jaxconv.models import Variables, find
from jaxconv.train.batch import as_floats, shuffled
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.log import Log
from jaxconv.train.normalize import normalized
from jaxconv.train.step import Seen
from jaxconv.train.verify.compare import Comparison, compare_gradients

with needs("train"):
    from rich.table import Table

TOLERANCE = 1e-8
"""The largest `worst` that passes. Rounding gives about 1e-15 of the largest element, and so 1e-9
of an element at FLOOR; a mistake gives far more."""

FLOAT32_TOLERANCE = 0.1
"""The largest `rounding` that passes. It is far above rounding, even where that moves a maximum or
a kink of ReLU to another element."""


class GradientMismatchError(Exception):
    """The hand-written gradient differs from autodiff's."""


def verify(config: Config, dataset: Dataset, seen: Seen, variables: Variables, log: Log) -> None:
    """Compare the gradients of the first batch and print the table.

    Raises:
        GradientMismatchError: they differ.
    """
    order = shuffled(config, 1, len(dataset.train_labels))[: config.batch_size]
    images = normalized(jnp.asarray(as_floats(dataset.train_images[order])), seen.scale)
    labels = jnp.asarray(dataset.train_labels[order])
    comparisons = compare_gradients(find(config.model), variables, images, labels)
    log.say(_table(comparisons))
    worst = check(comparisons)
    log.say(f"worst relative error {worst.worst:.1e} ({worst.name}): the gradients agree")


def check(comparisons: list[Comparison]) -> Comparison:
    """Return the worst of them; raise GradientMismatchError if it is worse than rounding."""
    worst = max(comparisons, key=lambda c: c.worst if c.worst == c.worst else float("inf"))
    if not worst.worst <= TOLERANCE:
        raise GradientMismatchError(
            f"the hand-written gradient of {worst.name} is off by {worst.worst:.1e} of its value"
            f" in float64, where at most {TOLERANCE:.0e} is expected"
        )
    for c in comparisons:
        if not c.rounding <= FLOAT32_TOLERANCE and c.autodiff_rounding <= FLOAT32_TOLERANCE:
            raise GradientMismatchError(
                f"the hand-written gradient of {c.name} is right in float64, but in float32 it is"
                f" off by {c.rounding:.1e} of its largest element, and autodiff's by only"
                f" {c.autodiff_rounding:.1e}; at most {FLOAT32_TOLERANCE:.0e} is expected"
            )
    return worst


def _table(comparisons: list[Comparison]) -> Table:
    table = Table(
        title="hand-written gradients against autodiff, first batch", title_justify="left"
    )
    table.add_column("parameter")
    table.add_column("shape")
    table.add_column("worst relative error\n(float64)", justify="right")
    table.add_column("float32 rounding\nhand", justify="right")
    table.add_column("\nautodiff", justify="right")
    for c in comparisons:
        errors = (f"{e:.1e}" for e in (c.worst, c.rounding, c.autodiff_rounding))
        table.add_row(c.name, "×".join(map(str, c.shape)), *errors)
    return table
