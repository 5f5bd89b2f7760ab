"""`Tolerance`: the errors that a user allows."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tolerance:
    """The errors that a user allows in every comparison.

    Attributes:
        relative: the error allowed, relative to the size of an element and of its array; None
            means what rounding explains.
        absolute: the error allowed on top.
    """

    relative: float | None = None
    absolute: float = 0.0

    def allowed(self, size: np.ndarray, rounding: float) -> np.ndarray:
        """Return the errors allowed for numbers of this size, if `rounding` explains that much."""
        return (rounding if self.relative is None else self.relative) * size + self.absolute

    def widened(self, rounding: float) -> float:
        """Return the larger relative error of the two: the user's, and what rounding explains."""
        return max(rounding, self.relative or 0.0)


EXACTLY = Tolerance()
"""What rounding explains."""
