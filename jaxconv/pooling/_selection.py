"""Find the extreme value of each window, and give its cotangent to where it was found.

There are four methods with the same result:

    few offsets      one view per offset, compared one after the other
    side by side     windows on axes of their own (`tiles`), one reduction
    many offsets     one dimension after the other, the last first: Σ K views instead of Π K
    a long window    along a dimension: by doubling, log K steps instead of K views (`_long.py`)

The third method is exact: the first row that holds the extreme, and in that row the first column,
are the first position in row-major order. It finds one index per dimension, and the backward pass
undoes them one after the other.
"""

import math
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv._core.doubling import LONG
from jaxconv._core.geometry import Windows
from jaxconv._core.symbolic import at_least
from jaxconv._core.windows import along, side_by_side, tiles, turns, views, views_of_copy
from jaxconv.pooling import _long as long
from jaxconv.pooling._extremes import (
    LEAST_MATCHED,
    Extreme,
    first_inside,
    first_of,
    give_at,
    index_dtype,
    tile_offsets,
)

UNROLLED = 64
"""Up to this many offsets are compared one by one. The compile time grows with their number."""

REDUCED = 16
"""Windows that lie side by side and have more offsets than this are reduced at once."""

LONG_ALMOST_BESIDE = 128
"""The value of `LONG` where at most two windows see each position. Such windows share too little
for doubling: 4 × 8192 × 64, window 64, stride 33 takes 2.5 ms offset by offset, 4.1 ms by
doubling."""


def stages(g: Windows, *, reduced: bool = True) -> tuple[Windows, ...]:
    """Return the windows to process one after the other; `reduced` allows one for all tiles."""
    doubled = _by_doubling(g) if reduced else is_long(g)
    few = not doubled and not at_least(math.prod(g.window), UNROLLED + 1)
    if few or (reduced and side_by_side(g)):
        return (g,)
    return tuple(along(g, dim) for dim in reversed(range(g.dims)))


def best(e: Extreme, g: Windows, x: Array) -> Array:
    """Return the extreme of each window; NaN if the window holds a NaN."""
    for stage in stages(g):
        x = best_of(e, stage, x)
    return x


def best_of(e: Extreme, g: Windows, x: Array) -> Array:
    """Return the extreme of each window of one stage."""
    if _is_reduced(g):
        return e.best(*tiles(g, x, e.worst(x.dtype)))
    if _by_doubling(g):
        return long.best(e, g, x)
    return reduce(e.better, views(g, x, e.worst(x.dtype)))


def _is_reduced(g: Windows) -> bool:
    return at_least(math.prod(g.window), REDUCED + 1) and side_by_side(g)


def is_long(g: Windows) -> bool:
    """Return whether the windows have more than `LONG` elements along a dimension."""
    return any(at_least(k, LONG + 1) for k in g.window)


def _by_doubling(g: Windows) -> bool:
    """Return whether the extremes of a stage, if not reduced at once, are found by doubling."""
    if not all(isinstance(k, int) for k in g.window):
        return False  # a symbolic size: one window that covers all of x
    almost_beside = max(turns(g)) <= 2 and max(g.dilation) == 1
    return max(g.window) > (LONG_ALMOST_BESIDE if almost_beside else LONG)


def find(e: Extreme, g: Windows, x: Array) -> tuple[Array, Array]:
    """Return the extreme of each window of one stage, and the offset where it is first found.

    The offset is flat in row-major order, as the smallest unsigned integer that holds it. It
    points into x and not into padding, unless the window covers only padding.
    """
    if _is_reduced(g):
        values, axes = tiles(g, x, e.worst(x.dtype))
        count = math.prod(g.window)
        y, found = first_of(e, axes, count, values, tile_offsets(g, seen=True))
        return y, found.astype(index_dtype(g))
    if _by_doubling(g):
        return long.find(e, g, x)
    if not at_least(x.size, LEAST_MATCHED):
        return _by_comparing(e, g, x)
    return lax.platform_dependent(
        x, cpu=partial(_by_matching, e, g), default=partial(_by_comparing, e, g)
    )


def _by_comparing(e: Extreme, g: Windows, x: Array) -> tuple[Array, Array]:
    """Compare one offset after the other with the best so far: one pass, whatever x holds."""
    worst = e.worst(x.dtype)
    # Each view is read twice. If each were padded by itself, XLA's CPU backend would store all.
    first, *others = views_of_copy(g, x, worst)
    # y and index get the sharding of x from its views; a constant of y's shape would have none.
    y = jnp.full_like(first, worst)
    dtype = index_dtype(g)
    index = lax.full_like(y, 0, dtype) + first_inside(g).astype(dtype)
    for a, view in enumerate([first, *others]):
        # Equal values do not win, so the first of them stays. A NaN beats all but an earlier NaN.
        better = e.beats(view, y) | ((view != view) & (y == y))
        y = lax.select(better, view, y)
        index = lax.select(better, lax.full_like(index, a), index)
    return y, index


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _by_matching(e: Extreme, g: Windows, x: Array) -> tuple[Array, Array]:
    """Find the extreme first, then the first offset that equals it: faster on a CPU.

    This has two reasons. If every extreme beats the padding value (which a NaN does not), each
    offset costs one comparison, and it does not matter where the padding lies. And XLA's CPU
    backend would otherwise fuse the index into the backward pass and search all windows again for
    each offset there, with K² comparisons instead of K (3 × 3 with stride 1 over
    64 × 32 × 32 × 64: 290 ms instead of 12 ms). It does not fuse into the branch of a condition.
    """
    y = best_of(e, g, x)
    mildest = e.mildest(y)
    tame = e.beats(mildest, jnp.full_like(mildest, e.worst(y.dtype)))
    return y, lax.cond(tame, partial(_match, e, g), partial(_search, e, g), x, y)


@_by_matching.defjvp
def _by_matching_jvp(
    e: Extreme, g: Windows, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[tuple[Array, Array], tuple[Array, Any]]:
    """Return ẏ = ẋ at the index. JAX would differentiate a chain of maxima and halve at ties."""
    (x,), (x_dot,) = primals, tangents
    y, index = _by_matching(e, g, x)
    return (y, index), (pick(g, index, x_dot), np.zeros(index.shape, jax.dtypes.float0))


def _match(e: Extreme, g: Windows, x: Array, y: Array) -> Array:
    """Return the first offset whose value is y; the offsets are tried from last to first."""
    seen = list(enumerate(views(g, x, e.worst(x.dtype))))
    index = jnp.full_like(y, len(seen) - 1, index_dtype(g))
    for a, view in reversed(seen[:-1]):
        index = lax.select(view == y, lax.full_like(index, a), index)
    return index


def _search(e: Extreme, g: Windows, x: Array, _: Array) -> Array:
    return _by_comparing(e, g, x)[1]


def pick(g: Windows, index: Array, values: Array) -> Array:
    """Return, for each window of one stage, the value at its offset `index`; 0 in padding."""
    if _is_reduced(g):
        tiled, axes = tiles(g, values, 0)
        chosen = tile_offsets(g) == jnp.expand_dims(index.astype(np.int32), axes)
        return jnp.sum(jnp.where(chosen, tiled, 0), axes, dtype=values.dtype)
    if _by_doubling(g):
        return long.pick(g, index, values)
    seen = enumerate(views(g, values, 0))
    return reduce(jnp.add, (jnp.where(index == a, view, 0) for a, view in seen))


def give(g: Windows, index: Array, dy: Array) -> Array:
    """Return dx: add each window's dy at its offset `index`. This is the transpose of `pick`."""
    holes = any(min(each) > 1 for each in zip(g.stride, g.dilation, strict=True))
    if _by_doubling(g) and (holes or max(turns(g)) > LONG):
        return long.give(g, index, dy)
    return give_at(g, index, dy)
