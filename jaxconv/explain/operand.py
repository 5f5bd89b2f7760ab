"""An array as it enters a correlation: turned by 180°, spread by zeros, padded or cropped."""

from dataclasses import dataclass

import numpy as np

from jaxconv._core.geometry import Ints, Pairs


@dataclass(frozen=True)
class Operand:
    """An array, and what is done to it before it is correlated.

    Attributes:
        name: the library's name of the array.
        size: its spatial dimensions.
        spread: the distance between neighbouring elements; 1 if there are no zeros between them.
        padding: zeros before and after; a negative number crops.
        turned: whether it is turned by 180°.
    """

    name: str
    size: Ints
    spread: Ints
    padding: Pairs
    turned: bool = False

    @property
    def placed_size(self) -> Ints:
        """The spatial dimensions with the zeros."""
        return tuple(
            e * (n - 1) + 1 + low + high
            for n, e, (low, high) in zip(self.size, self.spread, self.padding, strict=True)
        )

    def words(self, letter: str) -> str:
        """Return what it is, such as "dZ, spread by zeros (1 between neighbours)"."""
        words = f"{letter} turned by 180°" if self.turned else letter
        if max(self.spread) > 1:
            counts = [str(e - 1) for e in self.spread]
            counts = counts[:1] if len(set(counts)) == 1 else counts
            words += f", spread by zeros ({' × '.join(counts)} between neighbours)"
        if any(map(any, self.padding)):
            pairs = self.padding[:1] if len(set(self.padding)) == 1 else self.padding
            verb = "cropped" if max(map(max, self.padding)) <= 0 else "padded"
            words += f", {verb} by " + " × ".join(map(str, pairs))
        return words

    def placed(self, values: np.ndarray, empty: object) -> np.ndarray:
        """Return values of its size as they enter the correlation, `empty` where zeros are."""
        values = np.flip(values) if self.turned else values
        kept, targets = [], []
        for n, e, (low, _), size in zip(
            self.size, self.spread, self.padding, self.placed_size, strict=True
        ):
            at = e * np.arange(n) + low
            inside = (at >= 0) & (at < size)
            kept.append(np.flatnonzero(inside))
            targets.append(at[inside])
        result = np.full(self.placed_size, empty, values.dtype)
        result[np.ix_(*targets)] = values[np.ix_(*kept)]
        return result
