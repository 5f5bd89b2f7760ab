"""Finding the extreme value of each window, and the way back to where it was found.

Four forms, of one meaning:

    few offsets      one view per offset, compared one after the other
    side by side     windows on axes of their own (`tiles`), one reduction
    many offsets     one dimension after the other, the last first: Σ K views instead of Π K
    a long window    along a dimension: by doubling, log K steps instead of K views (`long.py`)

The third is exact: the first row that holds the extreme, and in it the first column, is the
first in row-major order. What it finds is one index per dimension, each to be undone in turn.
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
"""Up to so many offsets are compared one by one; compile time grows with them."""

REDUCED = 16
"""Windows side by side of more offsets are reduced at once."""

LONG_ALMOST_BESIDE = 128
"""`LONG` for windows of which at most two see a position, and which share little that doubling
would save: 4 × 8192 × 64, window 64, stride 33, 2.5 ms offset by offset and 4.1 by doubling."""


def stages(g: Windows, *, reduced: bool = True) -> tuple[Windows, ...]:
    """The windows to go through one after the other; `reduced` if tiles may be one reduction."""
    doubled = _by_doubling(g) if reduced else is_long(g)
    few = not doubled and not at_least(math.prod(g.window), UNROLLED + 1)
    if few or (reduced and side_by_side(g)):
        return (g,)
    return tuple(along(g, dim) for dim in reversed(range(g.dims)))


def best(e: Extreme, g: Windows, x: Array) -> Array:
    """The extreme of each window; NaN if it holds one."""
    for stage in stages(g):
        x = best_of(e, stage, x)
    return x


def best_of(e: Extreme, g: Windows, x: Array) -> Array:
    """The extreme of each window of one stage."""
    if _is_reduced(g):
        return e.best(*tiles(g, x, e.worst(x.dtype)))
    if _by_doubling(g):
        return long.best(e, g, x)
    return reduce(e.better, views(g, x, e.worst(x.dtype)))


def _is_reduced(g: Windows) -> bool:
    return at_least(math.prod(g.window), REDUCED + 1) and side_by_side(g)


def is_long(g: Windows) -> bool:
    """Whether the windows of a stage have more elements along a dimension than to go through."""
    return any(at_least(k, LONG + 1) for k in g.window)


def _by_doubling(g: Windows) -> bool:
    """Whether the extremes of a stage that is not reduced at once are found by doubling."""
    if not all(isinstance(k, int) for k in g.window):
        return False  # one window that is all of x
    almost_beside = max(turns(g)) <= 2 and max(g.dilation) == 1
    return max(g.window) > (LONG_ALMOST_BESIDE if almost_beside else LONG)


def find(e: Extreme, g: Windows, x: Array) -> tuple[Array, Array]:
    """The extreme of each window of one stage, and the offset where it is first found.

    The offset is flat in row-major order, in the smallest unsigned integer that holds it. It
    is one that sees x, and not padding, if any does.
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
    """One offset after the other against the best so far: one pass, whatever x holds."""
    dtype = index_dtype(g)
    worst = e.worst(x.dtype)
    # Each view is read twice. Padded by themselves XLA's CPU backend would keep them all.
    first, *others = views_of_copy(g, x, worst)
    # Both take the sharding of x from its views: a constant of y's shape would have none.
    y = jnp.full_like(first, worst)
    index: Any = first_inside(g).astype(dtype)
    for a, view in enumerate([first, *others]):
        # Strictly more extreme, so the first of equals stays; a NaN beats all but an earlier NaN.
        better = e.beats(view, y) | (jnp.isnan(view) & ~jnp.isnan(y))
        y = jnp.where(better, view, y)
        index = jnp.where(better, jnp.asarray(a, dtype), index)
    return y, index


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _by_matching(e: Extreme, g: Windows, x: Array) -> tuple[Array, Array]:
    """The extreme first, then the first offset that equals it: faster on a CPU, for two reasons.

    Where every extreme beats the padding, and so is no NaN, an offset costs one comparison and
    nothing has to be known of the padding. And XLA's CPU backend would fuse the index into the
    backward pass and search all windows again for each offset there, K² comparisons for K
    (3 × 3 with stride 1 over 64 × 32 × 32 × 64: 290 ms for 12). It does not reach into the branch
    of a condition.
    """
    y = best_of(e, g, x)
    mildest = e.mildest(y)
    tame = e.beats(mildest, jnp.full_like(mildest, e.worst(y.dtype)))
    return y, lax.cond(tame, partial(_match, e, g), partial(_search, e, g), x, y)


@_by_matching.defjvp
def _by_matching_jvp(
    e: Extreme, g: Windows, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[tuple[Array, Array], tuple[Array, Any]]:
    """ẏ = ẋ at the index. JAX would take the slope of a chain of maxima, which halves at ties."""
    (x,), (x_dot,) = primals, tangents
    y, index = _by_matching(e, g, x)
    return (y, index), (pick(g, index, x_dot), np.zeros(index.shape, jax.dtypes.float0))


def _match(e: Extreme, g: Windows, x: Array, y: Array) -> Array:
    """The first offset at which y stands: the last one found, seen from behind."""
    seen = list(enumerate(views(g, x, e.worst(x.dtype))))
    index = jnp.full_like(y, len(seen) - 1, index_dtype(g))
    for a, view in reversed(seen[:-1]):
        index = jnp.where(view == y, jnp.asarray(a, index.dtype), index)
    return index


def _search(e: Extreme, g: Windows, x: Array, _: Array) -> Array:
    return _by_comparing(e, g, x)[1]


def pick(g: Windows, index: Array, values: Array) -> Array:
    """For each window of one stage, the value at its offset `index`; 0 in padding."""
    if _is_reduced(g):
        tiled, axes = tiles(g, values, 0)
        chosen = tile_offsets(g) == jnp.expand_dims(index.astype(np.int32), axes)
        return jnp.sum(jnp.where(chosen, tiled, 0), axes, dtype=values.dtype)
    if _by_doubling(g):
        return long.pick(g, index, values)
    seen = enumerate(views(g, values, 0))
    return reduce(jnp.add, (jnp.where(index == a, view, 0) for a, view in seen))


def give(g: Windows, index: Array, dy: Array) -> Array:
    """Each window's dy at its offset `index`: the transpose of `pick`."""
    holes = any(min(each) > 1 for each in zip(g.stride, g.dilation, strict=True))
    if _by_doubling(g) and (holes or max(turns(g)) > LONG):
        return long.give(g, index, dy)
    return give_at(g, index, dy)
