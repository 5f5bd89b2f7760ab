"""Element by element: which are off, which is worst, and where they sit."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mismatch:
    """Where two arrays part.

    Attributes:
        index: of the worst element, measured by what is allowed there.
        got: that element.
        expected: that element.
        off: which elements are off, as a boolean array.
    """

    index: tuple[int, ...]
    got: float
    expected: float
    off: np.ndarray

    @property
    def error(self) -> float:
        """|got − expected|."""
        return abs(self.got - self.expected)

    @property
    def relative(self) -> float:
        """The same, relative to what was expected."""
        return self.error / abs(self.expected) if self.expected else float("inf")

    @property
    def where(self) -> str:
        """Where the elements that are off sit, in words."""
        return places(self.off)


def compare(got: np.ndarray, want: np.ndarray, allowed: np.ndarray) -> Mismatch | None:
    """None if every element is within what is allowed; NaN and infinities must be equal."""
    with np.errstate(invalid="ignore"):
        same = (got == want) | (np.isnan(got) & np.isnan(want))
        error = np.where(same, 0.0, np.abs(got - want))
        error = np.where(np.isnan(error), np.inf, error)
        off = ~same & ~(error <= allowed)
    if not off.any():
        return None
    excess = np.where(off, error / np.maximum(allowed, np.finfo(float).tiny), 0)
    index = np.unravel_index(int(np.argmax(excess)), off.shape)
    return Mismatch(tuple(int(i) for i in index), float(got[index]), float(want[index]), off)


def places(off: np.ndarray) -> str:
    """The elements marked in `off`, in words: everywhere, at one index, at the border, some."""
    if off.all():
        return "everywhere"
    indices = np.argwhere(off)
    if len(indices) == 1:
        return "one element"
    for axis, size in enumerate(off.shape):
        found = np.unique(indices[:, axis])
        if size > 1 and len(found) == 1:
            whole = " (all of it)" if off.take(found[0], axis=axis).all() else ""
            return f"index {found[0]} of axis {axis}{whole}"
    for axis, size in enumerate(off.shape):
        if size > 2 and set(indices[:, axis].tolist()) <= {0, size - 1}:
            return f"the first and last of axis {axis}"
    inner = tuple(slice(1, -1) if size > 2 else slice(None) for size in off.shape)
    if any(size > 2 for size in off.shape) and not off[inner].any():
        return "the border"
    for axis, size in enumerate(off.shape):
        found = np.unique(indices[:, axis])
        if 1 < len(found) < size and np.array_equal(found, np.arange(found[0], found[-1] + 1)):
            return f"indices {found[0]} to {found[-1]} of axis {axis}"
    return f"{off.mean():.0%} of the elements, scattered"
