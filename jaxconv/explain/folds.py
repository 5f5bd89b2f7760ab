"""What becomes of a list of products: their sum as a rule, for a pool also an extreme or a root."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jaxconv.explain.factors import Product
from jaxconv.explain.style import Text


class Fold(Protocol):
    """A function of a list of products."""

    @property
    def empty(self) -> float:
        """Its value if there are no products."""
        ...

    def write(self, style: Text, products: Sequence[Product]) -> str:
        """Return it as text or LaTeX; there is at least one product."""
        ...

    def value(self, values: Sequence[float]) -> float:
        """Return its value; there is at least one product."""
        ...


class Total:
    """The sum of the products."""

    empty = 0.0

    def write(self, style: Text, products: Sequence[Product]) -> str:
        """Return the products with + and − between them."""
        text = style.minus if products[0].negative else ""
        text += products[0].write(style)
        for product in products[1:]:
            text += f" {style.minus if product.negative else '+'} {product.write(style)}"
        return text

    def value(self, values: Sequence[float]) -> float:
        """Return the sum, rounded once if all products are finite."""
        return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)


TOTAL = Total()


@dataclass(frozen=True)
class Extreme:
    """The largest of the products ("max"), or the smallest ("min")."""

    function: str

    @property
    def empty(self) -> float:
        """The padding of the pool."""
        return -math.inf if self.function == "max" else math.inf

    def write(self, style: Text, products: Sequence[Product]) -> str:
        """Return max(…) or min(…)."""
        return style.call(self.function, ", ".join(product.write(style) for product in products))

    def value(self, values: Sequence[float]) -> float:
        """Return the extreme; a NaN wins."""
        if any(map(math.isnan, values)):
            return math.nan
        return max(values) if self.function == "max" else min(values)


@dataclass(frozen=True)
class Root:
    """The p-th root of the sum of the products."""

    p: float
    empty = 0.0

    def write(self, style: Text, products: Sequence[Product]) -> str:
        """Return (…)^(1/p)."""
        total = TOTAL.write(style, products)
        return total if self.p == 1 else style.power(style.group(total), f"1/{self.p:g}")

    def value(self, values: Sequence[float]) -> float:
        """Return the root."""
        return TOTAL.value(values) ** (1 / self.p)
