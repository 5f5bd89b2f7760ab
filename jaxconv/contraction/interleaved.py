"""Many groups of few channels: a vector is filled by the groups. Channels last.

Channel c of group γ lies at γ·C + c. With the channels of a group on an axis before that of the
groups, x'[n, p, c, γ], and y' and w' likewise,

    y'[n, i, k, γ] = Σ_{a,c} x'[n, s·i + d·a − low, c, γ] · w'[a, c, k, γ]

is the depthwise sum with γ for the channel, over c, too: shifted multiply-adds, in one loop over
the output. A group by itself would be a matrix product of a few columns, which fills no vector.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial, reduce

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.arguments import accumulator
from jaxconv.contraction.depthwise import shifts
from jaxconv.geometry import ConvGeometry, Ints
from jaxconv.memory import padded_by_rows, unfused

# A loop adds so many terms up, taps · channels, and the rows of a larger window are taken in
# several. 3×3, 16 groups of 8, 16×28×28, ms, 72 terms in one loop 8.4, in two 5.9.
TERMS = 64


def correlate(g: ConvGeometry, x: Array, w: Array) -> Array:
    """y, of copies of x and w that have their groups last."""
    total = accumulator(x.dtype)
    channels = w.shape[-1]

    def covered(x: Array) -> Array:
        last = groups_last(x.astype(total), g.groups).reshape(x.shape)
        return padded_by_rows(last, ((0, 0), *g.covering, (0, 0)))

    # In calls: fused into the sum, each number would be looked up where it is used.
    image = unfused(covered, x)
    taps = unfused(partial(groups_last, groups=g.groups), w.astype(total))
    parts = (
        unfused(partial(_sum, part, first), image, taps) for first, part in _loops(g, w.shape[-2])
    )
    return reduce(lax.add, parts).swapaxes(-1, -2).reshape(len(x), *g.output, channels)


def loops(window: Ints, c_in: int) -> int:
    """In how many loops the terms of such a window are added up."""
    return -(-window[0] // _rows(window, c_in))


def _loops(g: ConvGeometry, c_in: int) -> Iterator[tuple[int, ConvGeometry]]:
    """The first row of the window that a loop takes, and the geometry of its rows."""
    some = _rows(g.window, c_in)
    (low, high), *others = g.padding
    for first in range(0, g.window[0], some):
        rows = min(some, g.window[0] - first)
        missing = g.dilation[0] * (g.window[0] - rows)
        window = (rows, *g.window[1:])
        yield first, replace(g, window=window, padding=((low, high - missing), *others))


def _rows(window: Ints, c_in: int) -> int:
    """How many rows of the window a loop takes."""
    return max(1, min(window[0], TERMS // (math.prod(window[1:]) * c_in)))


def _sum(g: ConvGeometry, first: int, image: Array, taps: Array) -> Array:
    """What the rows of the window from `first` on, as many as g has, add to y'.

    `image` is x' with its zeros and with c and γ as one axis, `taps` is w'.
    """
    *_, c_in, c_out, count = taps.shape
    shape = (len(image), *g.output, c_out, count)
    moved = (g.dilation[0] * first, *(0,) * (g.dims - 1))

    def seen(c: int, start: Ints, stop: Ints) -> Array:
        begin, end = ([n + m for n, m in zip(place, moved, strict=True)] for place in (start, stop))
        part = lax.slice(
            image,
            (0, *begin, c * count),
            (len(image), *end, (c + 1) * count),
            (1, *g.stride, 1),
        )
        return jnp.broadcast_to(jnp.expand_dims(part, -2), shape)

    # A sum for each tap, then their sum: a third less rounding error than in one chain.
    of_taps = (
        reduce(
            lax.add,
            (
                lax.mul(seen(c, start, stop), jnp.broadcast_to(taps[(first + row, *a, c)], shape))
                for c in range(c_in)
            ),
        )
        for (row, *a), start, stop in shifts(g, g.output)
    )
    return reduce(lax.add, of_taps)


def groups_last(array: Array, groups: int) -> Array:
    """(…, groups · c) as (…, c, groups)."""
    *others, channels = array.shape
    return array.reshape(*others, groups, channels // groups).swapaxes(-1, -2)
