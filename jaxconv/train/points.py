"""Where a run is, and what can stop it there."""

from typing import Any, NamedTuple

import numpy as np

from jaxconv.train.step import After


class Point(NamedTuple):
    """Where a run is: what a checkpoint keeps.

    Attributes:
        taken: how many steps were taken.
        after: the state of training after them.
        sums: the counts of the steps of this epoch, in float64.
    """

    taken: int
    after: After
    sums: np.ndarray

    @property
    def tree(self) -> tuple[After, np.ndarray]:
        """All but the number, which is the name of the checkpoint."""
        return self.after, self.sums


class DivergedError(Exception):
    """The loss became NaN or infinite in a step.

    Attributes:
        batch: the images and labels of the step.
        before: the state of training before it.
    """

    def __init__(self, message: str, batch: Any = None, before: object = None) -> None:
        super().__init__(message)
        self.batch, self.before = batch, before


class StoppedError(Exception):
    """The user has stopped the run in an epoch; `point` is after the last step."""

    def __init__(self, point: Point) -> None:
        super().__init__()
        self.point = point
