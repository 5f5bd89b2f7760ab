"""An element of an array, the most common factor of a product."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from jaxconv._core.geometry import Ints

if TYPE_CHECKING:
    from jaxconv.explain.style import Text

Arrays = Mapping[str, np.ndarray]
"""Arrays in their full shape, by the library's names: x, w, y, dy, …"""


class Factor(Protocol):
    """What a product consists of."""

    def write(self, style: "Text") -> str:
        """Return the factor as text or LaTeX."""
        ...

    def value(self, arrays: Arrays) -> float:
        """Return the factor's value, read from the arrays."""
        ...


@dataclass(frozen=True)
class Entry:
    """One element of an array.

    Attributes:
        array: the library's name of the array, such as "dx".
        index: its indices, counted from 0, none left out.
    """

    array: str
    index: Ints

    def write(self, style: "Text") -> str:
        """Return the name of the array with the indices."""
        return style.entry(self)

    def value(self, arrays: Arrays) -> float:
        """Return the element."""
        return float(arrays[self.array][self.index])
