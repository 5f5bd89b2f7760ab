"""`Sum`: one element of a layer's output or gradient as a written-out sum."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from numpy.typing import ArrayLike

from jaxconv.explain.arrays import read_arrays
from jaxconv.explain.entry import Arrays, Entry
from jaxconv.explain.factors import Product
from jaxconv.explain.layer import Layer, Part
from jaxconv.explain.notation import Notation
from jaxconv.explain.style import Latex, Numbers, Text, format_number


@dataclass(frozen=True)
class Sum:
    """One element of a layer's output or gradient, written out; `terms` makes it.

    Attributes:
        layer: the op with its geometry.
        notation: how elements are named.
        element: the element that the sum is equal to.
        parts: what is added up. Most sums have one part; a batch norm's dx has three.
    """

    layer: Layer
    notation: Notation
    element: Entry
    parts: tuple[Part, ...]

    @cached_property
    def terms(self) -> tuple[Product, ...]:
        """The products that are added up, each with all its factors and its sign."""
        return tuple(
            Product((*part.common, *product.factors), part.negative != product.negative)
            for part in self.parts
            for product in part.products
        )

    @property
    def left(self) -> str:
        """The name of the element, such as "dX[1,2]"."""
        return Text(self.notation).entry(self.element)

    @property
    def text(self) -> str:
        """The element and its sum; `str()` adds what the letters mean."""
        return f"{self.left} = {self._right(Text(self.notation))}"

    def __str__(self) -> str:
        style = Text(self.notation)
        notes = [note for part in self.parts for note in part.notes(style)]
        return "\n  ".join([self.text, *notes])

    def latex(self) -> str:
        r"""Return the sum as LaTeX, without $.

        Example:
            >>> from jaxconv.explain import terms
            >>> dx = terms("conv", input=5, kernel=2, padding="VALID", of="dx[1]", names="X,W,Z")
            >>> print(dx.latex())
            dX_{1} = dZ_{0} \cdot W_{1} + dZ_{1} \cdot W_{0}
        """
        style = Latex(self.notation)
        return f"{style.entry(self.element)} = {self._right(style)}"

    def evaluate(
        self, arrays: Mapping[str, ArrayLike] | None = None, /, **more: ArrayLike
    ) -> float:
        """Return the value of the sum in float64.

        Example:
            >>> from jaxconv.explain import terms
            >>> dx = terms("conv", input=3, kernel=2, padding="VALID", of="dx[1]")
            >>> print(dx)
            dx[1] = dy[0]·w[1] + dy[1]·w[0]
            >>> dx.evaluate(w=[1, 2], dy=[10, 100])
            120.0

        Args:
            arrays: the arrays of the sum by name, for example {"w": w, "dy": dy}; the user's
                letters are understood, too. Axes of size 1 may be left out.
            more: further arrays as keywords.

        Raises:
            ValueError: an array that the sum needs is missing, or has a wrong shape.
        """
        return self._value(self._read({**(arrays or {}), **more}))

    def with_numbers(
        self, arrays: Mapping[str, ArrayLike] | None = None, /, **more: ArrayLike
    ) -> str:
        """Return the sum, then with a number in the place of each letter, then its value.

        Example:
            >>> from jaxconv.explain import terms
            >>> dx = terms("conv", input=3, kernel=2, padding="VALID", of="dx[1]")
            >>> dx.with_numbers(w=[1, 2], dy=[10, -0.5])
            'dx[1] = dy[0]·w[1] + dy[1]·w[0] = 10·2 + (-0.5)·1 = 19.5'

        Args:
            arrays: as in `evaluate`.
            more: further arrays as keywords.

        Raises:
            ValueError: an array that the sum needs is missing, or has a wrong shape.
        """
        read = self._read({**(arrays or {}), **more})
        if not self.terms:
            return str(self)
        value = format_number(self._value(read))
        between = "\n= " if "\n" in self.text else " = "
        return between.join((self.text, self._right(Numbers(self.notation, read)), value))

    def _right(self, style: Text) -> str:
        if not self.terms:
            return self._nothing(style)
        (first, *others) = self.parts
        if not others:
            return first.write(style)
        lines: list[str] = []
        for part in self.parts:
            sign = f"{style.minus} " if part.negative else "+ " if lines else ""
            lines.append(style.part(sign + part.write(style), part.path))
        return style.several(lines)

    def _nothing(self, style: Text) -> str:
        part = self.parts[0]
        empty = format_number(part.fold.empty).replace("inf", style.infinity)
        why = "" if isinstance(style, Latex) else f" ({part.why_empty})"
        return empty.replace("-", style.minus) + why

    def _read(self, given: Mapping[str, ArrayLike]) -> Arrays:
        return self.layer.complete(read_arrays(self.notation, given))

    def _value(self, arrays: Arrays) -> float:
        try:
            return sum(part.value(arrays) for part in self.parts)
        except KeyError as missing:
            array = self.layer.computed_from.get(missing.args[0], missing.args[0])
            name = self.notation.letter(array)
            raise ValueError(f"{self.layer.op}: {self.left} needs the array {name}") from None
