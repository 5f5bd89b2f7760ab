"""Which elements of its window a max or min pool chooses, and what the norm of a window is."""

from dataclasses import dataclass

import numpy as np

from jaxconv._core.arguments import Ties
from jaxconv.explain.entry import Arrays, Entry
from jaxconv.explain.style import Text


@dataclass(frozen=True)
class Winner:
    """The share of a window's cotangent that one of its elements gets.

    Attributes:
        x: the element.
        y: the window, as an element of the output.
        seen: the elements of the window in row-major order.
        ties: what happens if several elements are the largest.
        function: "max" or "min".
    """

    x: Entry
    y: Entry
    seen: tuple[Entry, ...]
    ties: Ties
    function: str

    def write(self, style: Text) -> str:
        """Return the condition on which the share is 1; if ties are split, divided by a count."""
        x, y = style.entry(self.x), style.entry(self.y)
        if self.ties == "first":
            return style.bracket(f"{style.argument(self.function)} {y} = {x}")
        wins = style.bracket(f"{x} = {y}")
        return style.fraction(wins, style.call("ties", y)) if self.ties == "split" else wins

    def value(self, arrays: Arrays) -> float:
        """Return the share; NaN is larger and smaller than every number."""
        wins = self._wins(arrays)
        mine = wins[self.seen.index(self.x)]
        if self.ties == "first":
            return float(mine and not wins[: self.seen.index(self.x)].any())
        return mine / self.count(arrays)

    def count(self, arrays: Arrays) -> int:
        """Return among how many elements the cotangent is split."""
        return int(self._wins(arrays).sum()) if self.ties == "split" else 1

    def _wins(self, arrays: Arrays) -> np.ndarray:
        values = np.array([entry.value(arrays) for entry in self.seen])
        if np.isnan(values).any():
            return np.isnan(values)
        return values == (values.max() if self.function == "max" else values.min())


@dataclass(frozen=True)
class NormPower:
    """A power of the p-norm of a window, which is 0 for a window of zeros.

    Attributes:
        y: the window, as an element of the output.
        seen: the elements of the window.
        p: the p of the norm.
        exponent: the exponent of the power.
    """

    y: Entry
    seen: tuple[Entry, ...]
    p: float
    exponent: float

    def write(self, style: Text) -> str:
        """Return the power of the element of y."""
        return style.power(style.entry(self.y), f"{self.exponent:g}")

    def value(self, arrays: Arrays) -> float:
        """Return the power."""
        total = sum(abs(entry.value(arrays)) ** self.p for entry in self.seen)
        return total ** (self.exponent / self.p) if total else 0.0
