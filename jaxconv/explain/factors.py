"""Products, and their factors besides the elements of arrays."""

import math
from dataclasses import dataclass

from jaxconv.explain.entry import Arrays, Entry, Factor
from jaxconv.explain.style import Text


@dataclass(frozen=True)
class Share:
    """1/count, what one of several gets."""

    count: float

    def write(self, style: Text) -> str:
        """Return the fraction."""
        return style.fraction("1", f"{self.count:g}")

    def value(self, arrays: Arrays) -> float:
        """Return the quotient."""
        return 1 / self.count


@dataclass(frozen=True)
class Power:
    """|x|^p, or with its sign: sign(x)·|x|^p. It is 0 at x = 0 for every p."""

    entry: Entry
    exponent: float
    signed: bool = False

    def write(self, style: Text) -> str:
        """Return the power; sign(x)·|x| is x."""
        base, exponent = style.entry(self.entry), f"{self.exponent:g}"
        if self.signed and self.exponent == 1:
            return base
        sign = style.call("sign", base)
        if self.signed and self.exponent == 0:
            return sign
        size = style.size(base) if self.exponent == 1 else style.power(style.size(base), exponent)
        return sign + style.times + size if self.signed else size

    def value(self, arrays: Arrays) -> float:
        """Return the power of the element."""
        x = self.entry.value(arrays)
        size = abs(x) ** self.exponent if x else 0.0
        return math.copysign(size, x) if self.signed else size


@dataclass(frozen=True)
class Product:
    """Factors that are multiplied, with a minus sign or without."""

    factors: tuple[Factor, ...]
    negative: bool = False

    def write(self, style: Text) -> str:
        """Return the product without its sign."""
        return style.times.join(map(style.factor, self.factors))

    def value(self, arrays: Arrays) -> float:
        """Return the product with its sign."""
        size = math.prod(factor.value(arrays) for factor in self.factors)
        return -size if self.negative else size
