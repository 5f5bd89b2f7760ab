"""y, dx and dw as correlations: which array, spread and padded, with which kernel, turned or not.

With the geometry of a `ConvSpec`:

    windows   = positions spread by e and padded, correlated with w spread by d, in steps of s
    positions = windows spread by s and padded, correlated with w turned by 180° and spread by d, in
                steps of e; the padding is that of `ConvSpec.transposed`
    w         = positions spread by e and padded, correlated with windows spread by s, in steps of d
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from jaxconv._core.geometry import Ints
from jaxconv.explain.arrays import read_arrays
from jaxconv.explain.entry import Entry
from jaxconv.explain.notation import Notation
from jaxconv.explain.operand import Operand
from jaxconv.explain.style import Text
from jaxconv.explain.trilinear import Trilinear
from jaxconv.explain.written import make_layer, make_notation

_MOST_CELLS = 600
"""Larger arrays are described in words only."""


@dataclass(frozen=True)
class Correlation:
    """One of y, dx and dw as a correlation; `as_convolution` makes it.

    Attributes:
        layer: the op with its geometry.
        notation: how elements are named.
        result: the library's name of what is computed.
        left: the array that the kernel slides over.
        right: the array that is used as the kernel.
        step: how far the kernel moves.
        turned: whether the result is turned by 180° in the end.
    """

    layer: Trilinear
    notation: Notation
    result: str
    left: Operand
    right: Operand
    step: Ints
    turned: bool = False

    @property
    def words(self) -> str:
        """The correlation as a sentence."""
        result = self.notation.letter(self.result)
        left, right = (o.words(self.notation.letter(o.name)) for o in (self.left, self.right))
        sentence = f"{result} = {self._kind}correlation of {left}, with {right}"
        if max(self.step) > 1:
            sentence += f", in steps of {'×'.join(map(str, self.step))}"
        if self.turned:
            sentence += ", and the result is turned by 180°"
        return sentence + self._summed

    def __str__(self) -> str:
        operands = (self.left, self.right)
        if not self._is_flat or max(math.prod(o.placed_size) for o in operands) > _MOST_CELLS:
            return self.words
        left, right = map(self._grid, operands)
        return f"{self.words}\n\n{left}\n\nwith\n\n{right}"

    def evaluate(
        self, arrays: Mapping[str, ArrayLike] | None = None, /, **more: ArrayLike
    ) -> np.ndarray:
        """Compute the correlation in float64, for one example and one channel.

        Example:
            >>> from jaxconv.explain import as_convolution
            >>> (dx,) = as_convolution("conv", input=3, kernel=2, padding="VALID", of="dx")
            >>> dx.evaluate(w=[1, 2], dy=[10, 100]).tolist()
            [10.0, 120.0, 200.0]

        Args:
            arrays: the arrays by name, as in `Sum.evaluate`.
            more: further arrays as keywords.

        Returns:
            The result with its spatial dimensions alone.

        Raises:
            ValueError: an array is missing or has a wrong shape, or there are several examples or
                channels.
        """
        if not self._is_one:
            raise ValueError("as_convolution: only one example and one channel can be evaluated")
        read = read_arrays(self.notation, {**(arrays or {}), **more})
        placed = []
        for operand in (self.left, self.right):
            if operand.name not in read:
                name = self.notation.letter(operand.name)
                raise ValueError(f"as_convolution: the array {name} is missing")
            placed.append(operand.placed(read[operand.name].reshape(operand.size), 0))
        steps = tuple(slice(None, None, step) for step in self.step)
        windows = sliding_window_view(placed[0], placed[1].shape)[steps]
        result = np.tensordot(windows, placed[1], placed[1].ndim)
        return np.flip(result) if self.turned else result

    @property
    def _kind(self) -> str:
        """Whether every overlap counts ("full"), or only whole ones of what is not padded."""
        overlaps = tuple((k - 1, k - 1) for k in self.right.placed_size)
        if max(self.step) == 1 and self.left.padding == overlaps and any(map(any, overlaps)):
            return "full "
        return "" if any(map(any, self.left.padding)) else "valid "

    @property
    def _summed(self) -> str:
        """What is summed besides, and which pairs of channels meet."""
        spec, slot = self.layer.spec, self.layer.slots[self.result.removeprefix("d")]
        counts = {"window": spec.in_a_group, "position": spec.out_a_group}
        what = f"the channels of {self.notation.letter(self.left.name)}"
        words = ""
        if slot == "offset":
            counts["offset"], what = self.layer.batch, "the examples"
        if counts[slot] > 1:
            words += f", summed over {what}"
        if slot == "offset" and spec.channels_in * spec.channels_out > 1:
            words += ", for each pair of channels"
        return words + (f", in each of {spec.groups} groups" if spec.groups > 1 else "")

    @property
    def _is_one(self) -> bool:
        spec = self.layer.spec
        return self.layer.batch == spec.channels_in == spec.channels_out == 1

    @property
    def _is_flat(self) -> bool:
        return self._is_one and self.layer.spec.dims <= 2

    def _grid(self, operand: Operand) -> str:
        """Return the array as lines of names and zeros, in columns."""
        axes = self.notation.shape(operand.name)
        style, names = Text(self.notation), np.empty(operand.size, object)
        for index in itertools.product(*map(range, operand.size)):
            full = [0] * len(axes.sizes)
            for axis, number in zip(axes.always, index, strict=True):
                full[axis] = number
            names[index] = style.entry(Entry(operand.name, tuple(full)))
        table = np.atleast_2d(operand.placed(names, "0"))
        width = max(map(len, table.flat))
        return "\n".join(
            "  ".join(name.ljust(width) for name in row).rstrip() for row in table.tolist()
        )


def as_convolution(
    op: str,
    *,
    of: str | None = None,
    one_based: bool = False,
    names: str | Sequence[str] | None = None,
    **geometry: Any,
) -> tuple[Correlation, ...]:
    """Say of y, dx and dw which arrays are correlated, and how they are spread, padded and turned.

    Example:
        >>> layer = {"input": (3, 3), "kernel": 2, "stride": 1, "padding": "VALID"}
        >>> (dx,) = as_convolution("conv", of="dX", names="X,W,Z", one_based=True, **layer)
        >>> print(dx)
        dX = full correlation of dZ, padded by (1, 1), with W turned by 180°
        <BLANKLINE>
        0        0        0        0
        0        dZ[1,1]  dZ[1,2]  0
        0        dZ[2,1]  dZ[2,2]  0
        0        0        0        0
        <BLANKLINE>
        with
        <BLANKLINE>
        W[2,2]  W[2,1]
        W[1,2]  W[1,1]

    Args:
        op: conv or conv_transpose.
        of: "y", "dx" or "dw"; an index after it is ignored. None means all three.
        one_based: as in `terms`.
        names: as in `terms`.
        geometry: as in `terms`; the padding must be zeros.

    Returns:
        The correlations, with `str()`, `words` and `evaluate(arrays)`.

    Raises:
        TypeError: as in `terms`.
        ValueError: as in `terms`, the op has no windows with weights, or the border is copied.
    """
    layer = make_layer(op, geometry)
    if not isinstance(layer, Trilinear) or not layer.spec.dims:
        raise ValueError(f"as_convolution: op must be conv or conv_transpose, but got {op!r}")
    if layer.padding_mode != "zeros":
        raise ValueError(
            f"as_convolution: padding_mode must be 'zeros', but got {layer.padding_mode!r}"
        )
    notation = make_notation(layer, one_based, names)
    arrays = ["y", "dx", "dw"]
    if of is not None:
        name = notation.name(str(of).partition("[")[0].strip())
        if name not in arrays:
            known = ", ".join(map(notation.letter, arrays))
            raise ValueError(f"as_convolution: of must be one of {known}, but got {of!r}")
        arrays = [name]
    return tuple(_correlation(layer, notation, name) for name in arrays)


def _correlation(layer: Trilinear, notation: Notation, result: str) -> Correlation:
    spec, back = layer.spec, layer.spec.transposed
    none = ((0, 0),) * spec.dims
    by_slot = {slot: "dy" if name == "y" != result else name for name, slot in layer.slots.items()}
    slot = layer.slots[result.removeprefix("d")]
    over, under = by_slot["position"], by_slot["window"]
    if slot == "offset":
        left = Operand(over, spec.size, spec.input_dilation, spec.covering)
        right = Operand(under, spec.output, spec.stride, none)
        return Correlation(layer, notation, result, left, right, spec.dilation, layer.flip)
    turned = layer.flip == (slot == "window")
    kernel = Operand("w", spec.window, spec.dilation, none, turned)
    name, at = (over, spec) if slot == "window" else (under, back)
    left = Operand(name, at.size, at.input_dilation, at.padding)
    return Correlation(layer, notation, result, left, kernel, at.stride)
