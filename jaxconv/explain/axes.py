"""One axis of a layer as a list of triples: window i reads position q with offset a.

A windowed layer is a sum over all triples of all its axes, because its dimensions multiply. An
element of the windows' array has one i per axis, an element of the kernel one a, and an element of
the array that the windows slide over one q. So the sum that belongs to an element consists of the
triples that have its number.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxconv._core.arguments import PaddingMode
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints

Slot = Literal["window", "offset", "position"]

_MODES: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}

MOST = 1_000_000
"""The most triples of an axis, and the most products of a sum."""


class Triple(NamedTuple):
    """Window i reads position q with the offset a.

    Attributes:
        window: i, the index of an element of the output on this axis.
        offset: a, the index of an element of the kernel. The kernel has no axis for the batch, so
            there it is (), and two axes for the channels.
        position: q, the index of an element of the input on this axis.
    """

    window: int
    offset: Ints
    position: int


class Axis:
    """All triples of one axis, found by any of their three numbers."""

    def __init__(self, triples: Iterable[Triple]) -> None:
        self.triples = tuple(triples)
        self._by = cache(self._sorted_by)

    def at(self, slot: Slot, coordinate: int | Ints) -> Sequence[Triple]:
        """Return the triples that have this number in this slot, in the order of the windows."""
        return self._by(slot).get(coordinate, ())

    def _sorted_by(self, slot: Slot) -> dict[int | Ints, list[Triple]]:
        found = defaultdict(list)
        for triple in sorted(self.triples):
            found[getattr(triple, slot)].append(triple)
        return dict(found)


def spatial_axis(
    spec: ConvSpec, dim: int, *, flip: bool = False, mode: PaddingMode = "zeros"
) -> Axis:
    """Return the triples of one spatial dimension, the solutions of `ConvSpec`'s equation.

        e·q = s·i + d·a − low,      0 ≤ q < n,   0 ≤ i < n_out,   0 ≤ a < K

    With `flip` the kernel is turned, so that its element K − 1 − a is at offset a. A border that
    is filled with copies has the positions of x of which it is a copy.
    """
    n, size, s, d = spec.size[dim], spec.window[dim], spec.stride[dim], spec.dilation[dim]
    e, (low, high), windows = spec.input_dilation[dim], spec.padding[dim], spec.output[dim]
    check_count(f"products of spatial dimension {dim}", windows * size)
    copied = None if mode == "zeros" else np.pad(np.arange(n), (low, high), mode=_MODES[mode])
    triples = []
    for i, a in itertools.product(range(windows), range(size)):
        q, between = divmod(s * i + d * a - low, e)
        if copied is not None:
            q = int(copied[q + low])
        if not between and 0 <= q < n:
            triples.append(Triple(i, (size - 1 - a if flip else a,), q))
    return Axis(triples)


def channel_axis(spec: ConvSpec) -> Axis:
    """Return the triples of the channels: y's k reads x's c of its group with w's (c', k)."""
    inner, outer = spec.in_a_group, spec.out_a_group
    check_count("pairs of channels", inner * spec.channels_out)
    return Axis(
        Triple(k, (c, k), k // outer * inner + c)
        for k in range(spec.channels_out)
        for c in range(inner)
    )


def same_axis(size: int) -> Axis:
    """Return the triples of an axis that the layer leaves alone: its batch, a pool's channels."""
    check_count("examples or channels", size)
    return Axis(Triple(n, (), n) for n in range(size))


def check_count(what: str, count: int, most: int = MOST) -> None:
    """Raise ValueError if `count`, the number of `what` to write out, is more than `most`."""
    if count > most:
        raise ValueError(f"explain: at most {most:,} {what} can be written out, but got {count:,}")
