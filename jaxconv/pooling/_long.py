"""Extremes of windows that are long in one dimension, in log K steps.

A window of K offsets consists of q tiles of u offsets each, and of a part with the r offsets that
are left. Without dilation u is the stride s, so that each window starts where a tile starts; with
dilation u is 1. One reduction finds the extreme of a tile, and doubling (`_core/doubling.py`) that
of q tiles: if (m, a) is an extreme and the offset where it is first found,

    (m, a) ∘ (m', a') = (m', a' + distance) if m' beats m, else (m, a)

is associative, and (m, a) ∘ (m, a) = (m, a), so that runs of tiles may overlap.

The backward pass goes through the same runs from the longest to the shortest. A run passes its
cotangent to the half in which its offset lies. All windows whose cotangents reach one run found
their extreme in this run, so they found the same one, the first of the run. Therefore one offset
per run is enough.

    offset of the left half  = a        where a < width
    offset of the right half = a − w    elsewhere, w the distance between the two

A window that sees x never finds its extreme in padding (`find`), so no cotangent is lost there.
"""

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv._core.barriers import call_unfused_on_cpu
from jaxconv._core.doubling import Arrays, runs
from jaxconv._core.geometry import Windows
from jaxconv._core.windows import placed, tiles_with_gaps
from jaxconv.pooling._extremes import (
    Extreme,
    first_inside,
    first_of,
    give_at,
    index_dtype,
    tile_offsets,
)


class Runs(NamedTuple):
    """How the windows along one dimension are composed of tiles.

    Attributes:
        axis: the axis of x that the windows slide over.
        unit: u, the number of offsets in a tile.
        hop: the distance from one tile of a window to the next, in tiles.
        whole: q, the number of whole tiles in a window.
        every: the distance between neighbouring windows, in tiles.
        tile: the tiles as windows side by side; None if no window holds a whole tile.
        part: for each window, the part after its whole tiles; None if nothing is left.
    """

    axis: int
    unit: int
    hop: int
    whole: int
    every: int
    tile: Windows | None
    part: Windows | None

    def steps(self) -> list[tuple[int, int]]:
        """Return how runs are split in two, from the longest down to a tile: (distance, width).

        A run is split into two runs of `width` tiles, whose starts are `distance` tiles apart.
        """
        width = 1 << (self.whole.bit_length() - 1)
        steps = [(self.whole - width, width)] if self.whole > width else []
        while width > 1:
            width //= 2
            steps.append((width, width))
        return steps


def runs_of(g: Windows) -> Runs:
    """Return the `Runs` of windows that have more than one element in one dimension only."""
    dim = int(np.argmax(g.window))
    k, s, d, o = g.window[dim], g.stride[dim], g.dilation[dim], g.output[dim]
    low, _ = g.padding[dim]
    if o == 1 and d == 1:
        s = k  # a single window has no neighbour, and may be one tile
    unit = s if d == 1 else 1
    count, rest = divmod(k, unit)
    every = s // unit

    starts = every * (o - 1) + 1 + d * (count - 1)
    return Runs(
        axis=g.spatial_axes[dim],
        unit=unit,
        hop=d,
        whole=count,
        every=every,
        tile=placed(g, dim, unit, unit, low, starts) if count else None,
        part=placed(g, dim, rest, unit, low - count * unit, o) if rest else None,
    )


def best(e: Extreme, g: Windows, x: Array) -> Array:
    """Return the extreme of each window; NaN if the window holds a NaN."""
    r = runs_of(g)

    def better(left: Arrays, right: Arrays, apart: int) -> Arrays:
        return tuple(map(e.better, left, right))

    found = []
    if r.tile:
        of_tiles = e.best(*tiles_with_gaps(r.tile, x, e.worst(x.dtype)))
        (y,) = runs(better, r.axis, r.hop, r.whole, of_tiles, overlap=True)
        found.append(_of_windows(r, y))
    if r.part:
        found.append(e.best(*tiles_with_gaps(r.part, x, e.worst(x.dtype))))
    return reduce(e.better, found)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def find(e: Extreme, g: Windows, x: Array) -> tuple[Array, Array]:
    """Return each window's extreme and the offset where it is first found (`_selection.find`)."""
    r, dtype = runs_of(g), index_dtype(g)

    def first(g: Windows) -> Arrays:
        values, axes = tiles_with_gaps(g, x, e.worst(x.dtype))
        if math.prod(g.window) == 1:
            y = jnp.squeeze(values, axes)
            return y, jnp.zeros_like(y, dtype)
        offsets = tile_offsets(g, seen=True)
        y, index = first_of(e, axes, math.prod(g.window), values, offsets)
        return y, index.astype(dtype)

    def join(left: Arrays, right: Arrays, apart: int) -> Arrays:
        (y, index), (other, place) = left, right
        # Where both are equal the left one stays. A NaN beats everything but a NaN to its left.
        beaten = e.beats(other, y) | (jnp.isnan(other) & ~jnp.isnan(y))
        place = place + jnp.asarray(apart * r.unit, dtype)
        return jnp.where(beaten, other, y), jnp.where(beaten, place, index)

    found = []
    if r.tile:
        of_tiles = first(r.tile)
        whole = runs(join, r.axis, r.hop, r.whole, *of_tiles, overlap=True)
        found.append(tuple(_of_windows(r, array) for array in whole))
    if r.part:
        found.append(first(r.part))
    y, index = reduce(partial(join, apart=r.whole), found)
    # If the index lies before the first offset that sees x, no value of x beats the padding.
    return y, jnp.maximum(index, first_inside(g).astype(dtype))


@find.defjvp
def _find_jvp(
    e: Extreme, g: Windows, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[tuple[Array, Array], tuple[Array, Any]]:
    """Return ẏ = ẋ at the index. JAX would differentiate a chain of maxima and halve at ties."""
    (x,), (x_dot,) = primals, tangents
    y, index = find(e, g, x)
    return (y, index), (pick(g, index, x_dot), np.zeros(index.shape, jax.dtypes.float0))


def give(g: Windows, index: Array, dy: Array) -> Array:
    """Return dx: add each window's dy at its offset `index`, which `find` returned."""
    r = runs_of(g)
    whole, rest = _split(g, r, index)
    dx = []
    if r.tile:
        whole, share = _at_every_tile(r, whole, _none(g)), _at_every_tile(r, dy, 0)
        for apart, width in r.steps():
            whole, share = call_unfused_on_cpu(
                partial(_hand_down, g, r, apart, width), whole, share
            )
        dx.append(give_at(r.tile, jnp.minimum(whole, jnp.asarray(r.unit, whole.dtype)), share))
    if r.part:
        dx.append(give_at(r.part, rest, dy))
    return reduce(jnp.add, dx)


def pick(g: Windows, index: Array, values: Array) -> Array:
    """Return each window's value at its offset `index`, 0 in padding: the transpose of `give`."""
    r = runs_of(g)
    whole, rest = _split(g, r, index)
    picked = []
    if r.tile:
        at_tile = _at_every_tile(r, whole, _none(g))
        lefts = []
        for apart, width in r.steps():
            lefts.append(at_tile < jnp.asarray(width * r.unit, at_tile.dtype))
            (at_tile,) = call_unfused_on_cpu(partial(_hand_down, g, r, apart, width), at_tile)
        seen = _value_at(r.tile, at_tile, values)
        for (apart, _), left in reversed(list(zip(r.steps(), lefts, strict=True))):
            seen = call_unfused_on_cpu(partial(_hand_up, r, apart), left, seen)
        none = whole == jnp.asarray(_none(g), whole.dtype)
        picked.append(jnp.where(none, 0, _of_windows(r, seen)))
    if r.part:
        picked.append(_value_at(r.part, rest, values))
    return reduce(jnp.add, picked)


def _none(g: Windows) -> int:
    """Return an offset that no run has: one more than the largest."""
    return math.prod(g.window)


def _split(g: Windows, r: Runs, index: Array) -> tuple[Array, Array]:
    """Split offsets into those in whole tiles and those in the part after them, or none."""
    none, border = _none(g), r.whole * r.unit
    dtype = np.min_scalar_type(none)
    index = index.astype(dtype)
    in_tiles = index < jnp.asarray(border, dtype)
    after = index - jnp.asarray(border, dtype)
    return (
        jnp.where(in_tiles, index, jnp.asarray(none, dtype)),
        jnp.where(in_tiles, jnp.asarray(none - border, dtype), after),
    )


def _at_every_tile(r: Runs, array: Array, fill: int) -> Array:
    """Spread one value per window to one per run of q tiles; other runs get `fill`."""
    if r.every == 1:
        return array
    widths = [(0, 0, r.every - 1 if axis == r.axis else 0) for axis in range(array.ndim)]
    return lax.pad(array, jnp.asarray(fill, array.dtype), widths)


def _of_windows(r: Runs, array: Array) -> Array:
    """Return the values of those runs of q tiles that are windows."""
    return lax.slice_in_dim(array, 0, None, r.every, r.axis)


def _hand_down(g: Windows, r: Runs, apart: int, width: int, index: Array, *dy: Array) -> Arrays:
    """Pass the offsets (and cotangents) of runs to the two shorter runs that make up each."""
    none = jnp.asarray(_none(g), index.dtype)
    left = index < jnp.asarray(width * r.unit, index.dtype)
    right = ~left & (index < none)

    def both(choose: Callable[..., Array], ours: Array, theirs: Array, fill: Array) -> Array:
        """Combine what a run gets as the left half of one run and the right half of another."""
        edge = apart * r.hop
        before, after = (
            [(edge, 0, 0) if axis == r.axis else (0, 0, 0) for axis in range(index.ndim)],
            [(0, edge, 0) if axis == r.axis else (0, 0, 0) for axis in range(index.ndim)],
        )
        return choose(
            lax.pad(jnp.where(left, ours, fill), fill, after),
            lax.pad(jnp.where(right, theirs, fill), fill, before),
        )

    # If both longer runs found their extreme here, their offsets agree; none is the largest.
    offset = both(jnp.minimum, index, index - jnp.asarray(apart * r.unit, index.dtype), none)
    return offset, *(both(jnp.add, d, d, jnp.zeros((), d.dtype)) for d in dy)


def _hand_up(r: Runs, apart: int, left: Array, seen: Array) -> Array:
    """Return the value picked in each run, from those picked in its left and right half."""
    length, edge = left.shape[r.axis], apart * r.hop
    one, other = (lax.slice_in_dim(seen, start, start + length, axis=r.axis) for start in (0, edge))
    return jnp.where(left, one, other)


def _value_at(g: Windows, index: Array, values: Array) -> Array:
    """Return the value at this offset of windows without overlap; 0 if they do not have it."""
    laid, axes = tiles_with_gaps(g, values, 0)
    chosen = tile_offsets(g) == jnp.expand_dims(index.astype(np.int32), axes)
    return jnp.sum(jnp.where(chosen, laid, 0), axes, dtype=values.dtype)


def add_up(e: Extreme, g: Windows, x: Array, values: Array) -> Array:
    """Sum, for each window of x, the `values` at all positions of its extreme; 0 in padding.

    A position ties if x[p] is as extreme as its tile, and the tile is as extreme as its run.
    """
    r = runs_of(g)

    def join(left: Arrays, right: Arrays, apart: int) -> Arrays:
        (y, total), (other, more) = left, right
        most = e.better(y, other)
        return most, _where_tied(y, most, total) + _where_tied(other, most, more)

    def of(g: Windows) -> Arrays:
        seen, axes = tiles_with_gaps(g, x, e.worst(x.dtype))
        most = e.best(seen, axes, keepdims=True)
        tied = _where_tied(seen, most, tiles_with_gaps(g, values, 0)[0])
        return jnp.squeeze(most, axes), jnp.sum(tied, axes, dtype=values.dtype)

    found = []
    if r.tile:
        whole = runs(join, r.axis, r.hop, r.whole, *of(r.tile))
        found.append(tuple(_of_windows(r, array) for array in whole))
    if r.part:
        found.append(of(r.part))
    return reduce(partial(join, apart=r.whole), found)[1]


def _where_tied(y: Array, most: Array, values: Array) -> Array:
    return jnp.where((y == most) | jnp.isnan(y), values, 0)


def share_out(e: Extreme, g: Windows, x: Array, dy: Array) -> Array:
    """Give each window's dy to all positions of its extreme in x: the transpose of `add_up`."""
    _, transposed = jax.vjp(partial(add_up, e, g, x), jnp.zeros_like(x, dy.dtype))
    return transposed(dy)[0]
