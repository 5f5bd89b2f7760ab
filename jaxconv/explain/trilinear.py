"""Convolution, transposed convolution and dense layer: one form, three arrays, three sums.

    T = Σ (element at position q) · (w at offset a) · (element of window i)

over all triples of all axes. The derivative of T with respect to an element of one array is a sum
of products of elements of the other two: y is a sum of products of x and w, dx of dy and w, and dw
of dy and x.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from jaxconv._core.arguments import Layout, PaddingMode
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints
from jaxconv.explain.axes import Triple, channel_axis, check_count, same_axis, spatial_axis
from jaxconv.explain.entry import Arrays, Entry
from jaxconv.explain.factors import Product
from jaxconv.explain.layer import Part
from jaxconv.explain.notation import Shape
from jaxconv.explain.windowed import WHY, Windowed

_OTHERS = {"y": ("x", "w"), "dx": ("dy", "w"), "dw": ("dy", "x")}


class Trilinear(Windowed):
    """A layer of the form T.

    Args:
        op: its name.
        spec: the geometry; that of the convolution that is transposed if `transposed`.
        batch: the number of examples.
        layout: which axis holds the channels.
        bias: whether y contains one.
        flip: whether the kernel is turned.
        padding_mode: what the padding is filled with.
        transposed: whether x belongs to the windows and y to the positions.
    """

    roles = ("x", "w", "y", "b")
    elements = ("y", "dx", "dw", "db")

    def __init__(
        self,
        op: str,
        spec: ConvSpec,
        *,
        batch: int = 1,
        layout: Layout = "channels_last",
        bias: bool = False,
        flip: bool = False,
        padding_mode: PaddingMode = "zeros",
        transposed: bool = False,
    ) -> None:
        self.op, self.spec, self.batch, self.layout, self.bias = op, spec, batch, layout, bias
        self.flip, self.padding_mode, self.transposed = flip, padding_mode, transposed
        self.slots = {"x": "position", "w": "offset", "y": "window"}
        if transposed:
            self.slots |= {"x": "window", "y": "position"}
        self.axes = [
            same_axis(batch),
            *(spatial_axis(spec, dim, flip=flip, mode=padding_mode) for dim in range(spec.dims)),
            channel_axis(spec),
        ]
        positions = self.image(batch, spec.size, spec.channels_in)
        windows = self.image(batch, spec.output, spec.channels_out)
        x, y = (windows, positions) if transposed else (positions, windows)
        channels = spec.channels_in if transposed else spec.channels_out
        first = 2 if layout == "channels_first" else 0
        w = Shape(self._kernel(spec.kernel_shape), tuple(range(first, first + spec.dims)))
        self.shapes = {"x": x, "w": w, "y": y, "b": Shape((channels,), ())}

    def parts(self, entry: Entry, arrays: Arrays | None = None) -> tuple[Part, ...]:
        """Return the sum of an element of y, dx, dw or db."""
        if entry.array == "db":
            return (Part(tuple(self._bias_products(entry.index[0]))),)
        products = [
            Product(tuple(self._entry(name, triples) for name in _OTHERS[entry.array]))
            for triples in self.triples(entry.array, self._coordinates(entry))
        ]
        if entry.array == "y" and self.bias:
            channel = self.arranged_back(entry.index)[-1]
            products.append(Product((Entry("b", (channel,)),)))
        why = WHY[self.slots[entry.array.removeprefix("d")]]
        return (Part(tuple(products), why_empty=why),)

    def _bias_products(self, channel: int) -> list[Product]:
        *images, _ = self.arranged_back(self.shapes["y"].sizes)
        check_count("products of an element of db", math.prod(images))
        indices = ((*index, channel) for index in itertools.product(*map(range, images)))
        return [Product((Entry("dy", self.arranged(index)),)) for index in indices]

    def _entry(self, name: str, triples: tuple[Triple, ...]) -> Entry:
        """Return the element of an array that one triple of each axis belongs to."""
        if name == "w":
            return Entry(name, self._kernel(sum((t.offset for t in triples), ())))
        return Entry(name, self.image_index(name, triples))

    def _coordinates(self, entry: Entry) -> Sequence[Any]:
        """Return one number for each axis, the inverse of `_entry`."""
        index = entry.index
        if entry.array != "dw":
            return self.arranged_back(index)
        last = self.kernel_back(index)
        return [(), *((a,) for a in last[:-2]), last[-2:]]

    def kernel_back(self, index: Ints) -> Ints:
        """Return an index of the kernel in the layout as (*window, c, k), inverse of `_kernel`."""
        return (*index[2:], *index[1::-1]) if self.layout == "channels_first" else index

    def _kernel(self, index: Ints) -> Ints:
        """Return an index (*window, c, k) of the kernel in the layout."""
        if self.layout == "channels_first":
            return index[-1], index[-2], *index[:-2]
        return index
