"""Finding the extreme value of each window, and the way back to where it was found.

Three forms, of one meaning:

    few offsets      one view per offset, compared one after the other
    side by side     windows on axes of their own (`tiles`), one reduction
    many offsets     one dimension after the other, the last first: Σ K views instead of Π K

The third is exact: the first row that holds the extreme, and in it the first column, is the
first in row-major order. What it finds is one index per dimension, each to be undone in turn.
"""

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv.geometry import Ints, Windows
from jaxconv.memory import unfused
from jaxconv.sharding import explicit_sharding
from jaxconv.windows import add_back, along, landing, side_by_side, tiles, views, views_of_copy

UNROLLED = 64
"""Up to so many offsets are compared one by one; compile time grows with them."""

REDUCED = 16
"""Windows side by side of more offsets are reduced at once."""

LEAST_MATCHED = 2**16
"""In an x of fewer elements the extremes are searched in one way on all platforms (caution, not a
measurement: what takes a fraction of a millisecond is not worth two ways to compile)."""


class Extreme(NamedTuple):
    """What the largest and the smallest have in common.

    Attributes:
        beats: whether a value is more extreme than another.
        better: the more extreme of two, NaN if one is.
        best: the most extreme along some axes, NaN if one is.
        mildest: the least extreme along some axes, NaN if one is.
        padding: the sign of the infinity that every value beats.
    """

    beats: Callable[..., Array]
    better: Callable[..., Array]
    best: Callable[..., Array]
    mildest: Callable[..., Array]
    padding: int

    def worst(self, dtype: Any) -> Any:
        """What padding is filled with."""
        if jnp.issubdtype(dtype, jnp.floating):
            return self.padding * math.inf
        return jnp.iinfo(dtype).min if self.padding < 0 else jnp.iinfo(dtype).max


LARGEST = Extreme(lax.gt, lax.max, jnp.max, jnp.min, -1)
SMALLEST = Extreme(lax.lt, lax.min, jnp.min, jnp.max, 1)


def stages(g: Windows, *, reduced: bool = True) -> tuple[Windows, ...]:
    """The windows to go through one after the other; `reduced` if tiles may be one reduction."""
    if math.prod(g.window) <= UNROLLED or (reduced and side_by_side(g)):
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
    return reduce(e.better, views(g, x, e.worst(x.dtype)))


def _is_reduced(g: Windows) -> bool:
    return math.prod(g.window) > REDUCED and side_by_side(g)


def find(e: Extreme, g: Windows, x: Array) -> tuple[Array, Array]:
    """The extreme of each window of one stage, and the offset where it is first found.

    The offset is flat in row-major order, in the smallest unsigned integer that holds it. It
    is one that sees x, and not padding, if any does.
    """
    if _is_reduced(g):
        values, axes = tiles(g, x, e.worst(x.dtype))
        count = math.prod(g.window)
        y, found = first_of(e, axes, count, values, _tile_offsets(g, seen=True))
        return y, found.astype(_index_dtype(g))
    if x.size < LEAST_MATCHED:
        return _by_comparing(e, g, x)
    return lax.platform_dependent(
        x, cpu=partial(_by_matching, e, g), default=partial(_by_comparing, e, g)
    )


def _by_comparing(e: Extreme, g: Windows, x: Array) -> tuple[Array, Array]:
    """One offset after the other against the best so far: one pass, whatever x holds."""
    dtype = _index_dtype(g)
    worst = e.worst(x.dtype)
    # Each view is read twice. Padded by themselves XLA's CPU backend would keep them all.
    first, *others = views_of_copy(g, x, worst)
    # Both take the sharding of x from its views: a constant of y's shape would have none.
    y = jnp.full_like(first, worst)
    index: Any = _first_inside(g).astype(dtype)
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
    index = jnp.full_like(y, len(seen) - 1, _index_dtype(g))
    for a, view in reversed(seen[:-1]):
        index = jnp.where(view == y, jnp.asarray(a, index.dtype), index)
    return index


def _search(e: Extreme, g: Windows, x: Array, _: Array) -> Array:
    return _by_comparing(e, g, x)[1]


def _index_dtype(g: Windows) -> Any:
    """The smallest unsigned integer that holds every offset of the window."""
    return np.min_scalar_type(math.prod(g.window) - 1)


def pick(g: Windows, index: Array, values: Array) -> Array:
    """For each window of one stage, the value at its offset `index`; 0 in padding."""
    if _is_reduced(g):
        tiled, axes = tiles(g, values, 0)
        chosen = _tile_offsets(g) == jnp.expand_dims(index.astype(np.int32), axes)
        return jnp.sum(jnp.where(chosen, tiled, 0), axes, dtype=values.dtype)
    seen = enumerate(views(g, values, 0))
    return reduce(jnp.add, (jnp.where(index == a, view, 0) for a, view in seen))


def give(g: Windows, index: Array, dy: Array) -> Array:
    """Each window's dy at its offset `index`: the transpose of `pick`."""
    # One more offset than there are: that of no window.
    index = index.astype(np.min_scalar_type(math.prod(g.window)))

    def at_index(a: np.ndarray, index: Array, dy: Array) -> Array:
        return jnp.where(index == a.astype(index.dtype), dy, 0)

    return add_back(g, at_index, index, dy)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def first_of(
    e: Extreme, axes: Ints, count: int, values: Array, offsets: Array
) -> tuple[Array, Array]:
    """The extreme along `axes`, and the smallest of its offsets.

    Offsets run from 0 to count − 1; an offset of `count` says that there is padding.
    """
    y = e.best(values, axes, keepdims=True)
    index = by_itself(partial(_first_place, axes, count), values, y, offsets)
    return jnp.squeeze(y, axes), index


def by_itself(compute: Callable[..., Array], x: Array, *others: Any) -> Array:
    """compute(x, …), for a large x on a CPU in a call.

    Else XLA's CPU backend would write an extreme once for each of the values that are compared
    with it, and search for an index again wherever it is asked for.
    """
    if x.size < LEAST_MATCHED or explicit_sharding(x):
        return compute(x, *others)
    return lax.platform_dependent(x, *others, cpu=partial(unfused, compute), default=compute)


def _first_place(axes: Ints, count: int, values: Array, y: Array, offsets: Array) -> Array:
    found = (values == y) | jnp.isnan(values)
    return jnp.minimum(jnp.min(jnp.where(found, offsets, count), axes), count - 1)


@first_of.defjvp
def _first_of_jvp(
    e: Extreme, axes: Ints, count: int, primals: tuple[Array, Array], tangents: tuple[Array, Any]
) -> tuple[tuple[Array, Array], tuple[Array, Any]]:
    """ẏ = ẋ at the index. JAX would take the slope of a reduction, which splits among ties."""
    values, offsets = primals
    y, index = first_of(e, axes, count, values, offsets)
    chosen = offsets == jnp.expand_dims(index, axes)
    nudges, _ = tangents
    y_dot = jnp.sum(jnp.where(chosen, nudges, 0), axes, dtype=y.dtype)
    return (y, index), (y_dot, np.zeros(index.shape, jax.dtypes.float0))


def _tile_offsets(g: Windows, *, seen: bool = False) -> np.ndarray:
    """Every offset, shaped like tiles; with `seen` those of padding are one too large."""
    count = math.prod(g.window)
    flat = np.arange(count, dtype=np.int32).reshape(g.window)
    tables = landing(g, ((0, 0),) * g.dims)
    everywhere = all(table.all() for table in tables)
    shape: list[int] = []
    for axis in range(g.dims + 2):
        if axis not in g.spatial_axes:
            shape.append(1)
            continue
        dim = g.spatial_axes.index(axis)
        shape += [1 if everywhere or not seen else g.output[dim], g.window[dim]]
    if everywhere or not seen:
        return flat.reshape(shape)
    # From (i0, a0, i1, a1, …), where every offset a stands beside its window i.
    inside = reduce(np.logical_and.outer, tables)
    beside = [size for k in g.window for size in (1, k)]
    return np.where(inside, flat.reshape(beside), np.int32(count)).reshape(shape)


def _first_inside(g: Windows) -> np.ndarray:
    """Per window the first offset that sees x (0 where none does), flat in row-major order."""
    tables = landing(g, ((0, 0),) * g.dims)
    rest = math.prod(g.window)
    flat = []
    for table, k in zip(tables, g.window, strict=True):
        rest //= k
        flat.append(table.argmax(axis=1) * rest)
    return outer(g, flat, np.add)


def outer(g: Windows, vectors: list[np.ndarray], combine: np.ufunc) -> np.ndarray:
    """One value per window from one vector per dimension, shaped to broadcast against y."""
    return reduce(combine.outer, vectors).reshape(g.on_axes(g.output, 1))
