"""`Layer`: what every op that can be explained knows about its elements."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from jaxconv.explain.entry import Arrays, Entry, Factor
from jaxconv.explain.factors import Product
from jaxconv.explain.folds import TOTAL, Fold
from jaxconv.explain.notation import Shape
from jaxconv.explain.style import Text


@dataclass(frozen=True)
class Part:
    """A list of products, folded and multiplied by what they have in common.

    Attributes:
        products: the products.
        common: factors of all of them.
        fold: what becomes of them; their sum as a rule.
        negative: whether it is subtracted.
        path: for one of several parts, on which path the change reaches the loss.
        why_empty: the reason, if there are no products.
        notes: returns lines that say what the letters mean.
    """

    products: tuple[Product, ...]
    common: tuple[Factor, ...] = ()
    fold: Fold = TOTAL
    negative: bool = False
    path: str = ""
    why_empty: str = ""
    notes: Callable[[Text], list[str]] = lambda style: []

    def write(self, style: Text) -> str:
        """Return the part without its sign."""
        body = self.fold.write(style, self.products)
        if not self.common:
            return body
        before = Product(self.common).write(style) + style.times
        return before + (style.group(body) if len(self.products) > 1 else body)

    def value(self, arrays: Arrays) -> float:
        """Return the value of the part with its sign."""
        if not self.products:
            return self.fold.empty
        inside = self.fold.value([product.value(arrays) for product in self.products])
        return Product(self.common, self.negative).value(arrays) * inside


class Layer(ABC):
    """An op with its static geometry.

    Attributes:
        op: the name of the op.
        shapes: the shape of each array by its name in the library, without gradients.
        roles: the names of the input, the parameter, the output and the bias.
        elements: the arrays whose elements can be explained, gradients included.
        computed_from: for each array that the op computes, the argument that it needs.
        chooses: whether a gradient depends on which numbers of x are largest.
    """

    op: str
    shapes: Mapping[str, Shape]
    roles: Sequence[str | None]
    elements: Sequence[str]
    computed_from: Mapping[str, str] = MappingProxyType({})
    chooses = False

    @abstractmethod
    def parts(self, entry: Entry, arrays: Arrays | None = None) -> tuple[Part, ...]:
        """Return the sum that an element is; with arrays, choices are made as the op makes them."""

    def symbols(self, letters: Mapping[str, str]) -> dict[str, str]:
        """Return how arrays are called that are no arguments of the op."""
        return {}

    def complete(self, arrays: Arrays) -> Arrays:
        """Return the arrays with those that the op computes from them."""
        return arrays
