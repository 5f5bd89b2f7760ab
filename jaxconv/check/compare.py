"""Compare arrays element by element: which elements are off, which is worst, where they lie."""

import math
from dataclasses import dataclass

import numpy as np

A_FEW = 8


@dataclass(frozen=True)
class Mismatch:
    """Where two arrays differ.

    Attributes:
        index: the index of the worst element: the largest error relative to the error allowed.
        got: the value got there.
        expected: the value expected there.
        off: which elements are off, as a boolean array.
    """

    index: tuple[int, ...]
    got: float | complex
    expected: float | complex
    off: np.ndarray

    @property
    def error(self) -> float:
        """|got − expected|."""
        return abs(self.got - self.expected)

    @property
    def relative(self) -> float:
        """The error relative to the expected value."""
        return self.error / abs(self.expected) if self.expected else math.inf

    @property
    def where(self) -> str:
        """The positions of the elements that are off, in words."""
        return places(self.off)


def compare(got: np.ndarray, want: np.ndarray, allowed: np.ndarray) -> Mismatch | None:
    """Return where `got` is off; None if all errors are allowed. NaN and ±∞ must match."""
    with np.errstate(invalid="ignore"):
        same = (got == want) | (np.isnan(got) & np.isnan(want))
        error = np.where(same, 0.0, np.abs(got - want))
        error = np.where(np.isnan(error), np.inf, error)
        off = ~same & ~(error <= allowed)
    if not off.any():
        return None
    excess = np.where(off, error / np.maximum(allowed, np.finfo(float).tiny), 0)
    index = np.unravel_index(int(np.argmax(excess)), off.shape)
    return Mismatch(tuple(int(i) for i in index), got[index].item(), want[index].item(), off)


def a_few(indices: np.ndarray) -> list[tuple[int, ...]]:
    """Return at most `A_FEW` of these indices, spread evenly: to look at each takes time."""
    return [tuple(map(int, i)) for i in indices[:: max(1, len(indices) // A_FEW)][:A_FEW]]


def places(off: np.ndarray) -> str:
    """Describe the elements marked in `off`: everywhere, at one index, at the border, some."""
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
