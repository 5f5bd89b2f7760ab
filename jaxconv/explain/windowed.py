"""A layer with windows: arrays of images in one of two layouts, one list of triples per axis."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from jaxconv._core.arguments import IntOrInts, Layout, is_sequence, per_dimension
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints, Pairs
from jaxconv.explain.axes import Axis, Slot, Triple, check_count
from jaxconv.explain.layer import Layer
from jaxconv.explain.notation import Shape

WHY: dict[Slot, str] = {
    "window": "its window reads no element",
    "offset": "it is multiplied by nothing but zeros",
    "position": "no window covers it",
}
"""Why no triples belong to an element, by its slot."""


class Images(Layer):
    """A layer whose arrays are images.

    Attributes:
        layout: which axis holds the channels. Inside, channels are last; `arranged` and
            `arranged_back` lead to the layout and back.
    """

    layout: Layout

    def image(self, batch: int, size: Ints, channels: int) -> Shape:
        """Return the shape of an array of images, whose spatial axes are written even at size 1."""
        first = 2 if self.layout == "channels_first" else 1
        always = tuple(range(first, first + len(size)))
        return Shape(self.arranged((batch, *size, channels)), always)

    def arranged(self, index: Ints) -> Ints:
        """Return an index of an image (n, *spatial, c) in the layout."""
        if self.layout == "channels_first":
            return index[0], index[-1], *index[1:-1]
        return index

    def arranged_back(self, index: Ints) -> Ints:
        """Return an index of an image in the layout as (n, *spatial, c)."""
        if self.layout == "channels_first":
            return index[0], *index[2:], index[1]
        return index


class Windowed(Images):
    """A layer whose windows slide over images.

    Attributes:
        spec: the geometry; of the convolution that is transposed if `transposed`.
        batch: the number of examples.
        slots: the slot of each array.
        axes: the triples of the batch, of each spatial dimension and of the channels.
    """

    spec: ConvSpec
    batch: int
    slots: dict[str, Slot]
    axes: Sequence[Axis]
    flip = False
    transposed = False

    @property
    def padding(self) -> Pairs:
        """The padding as the user gave it, as far as it can be said with pairs."""
        return self.spec.padding

    def triples(self, name: str, coordinates: Sequence[Any]) -> Iterator[tuple[Triple, ...]]:
        """Return the triples, one per axis, that belong to an element with these coordinates."""
        slot = self.slots[name.removeprefix("d")]
        found = [axis.at(slot, c) for axis, c in zip(self.axes, coordinates, strict=True)]
        check_count(f"products of an element of {name}", math.prod(map(len, found)))
        return itertools.product(*found)

    def image_index(self, name: str, triples: tuple[Triple, ...]) -> Ints:
        """Return the index of the element of an array of images to which triples belong."""
        slot = self.slots[name.removeprefix("d")]
        return self.arranged(tuple(getattr(triple, slot) for triple in triples))


def image_size(op: str, given: IntOrInts) -> Ints:
    """Return the sizes of the spatial dimensions; one number is a signal."""
    sizes = (given,) if isinstance(given, int) else given
    if not is_sequence(sizes) or not 1 <= len(sizes) <= 3:
        raise ValueError(
            f"{op}: input must be the sizes of 1, 2 or 3 spatial dimensions, but got {given!r}"
        )
    return per_dimension(op, "input", sizes, len(sizes), 1)
