"""Finding the extreme value of each window, and the way back to where it was found.

Three forms, of one meaning:

    few offsets      one view per offset, compared one after the other
    side by side     windows on axes of their own (`tiles`), one reduction
    many offsets     one dimension after the other, the last first: Σ K views instead of Π K

The third is exact: the first row that holds the extreme, and in it the first column, is the
first in row-major order. What it finds is one index per dimension, each to be undone in turn.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv.geometry import Ints, Windows
from jaxconv.windows import (
    along,
    from_tiles,
    landing,
    offsets,
    overlap_add,
    side_by_side,
    tiles,
    views,
    window_axes,
)

UNROLLED = 64
"""Up to so many offsets are compared one by one; compile time grows with them."""

REDUCED = 16
"""Windows side by side of more offsets are reduced at once."""


class Extreme(NamedTuple):
    """What the largest and the smallest have in common.

    Attributes:
        beats: whether a value is more extreme than another.
        better: the more extreme of two, NaN if one is.
        best: the most extreme along some axes, NaN if one is.
        padding: the sign of the infinity that every value beats.
    """

    beats: Callable[..., Array]
    better: Callable[..., Array]
    best: Callable[..., Array]
    padding: int

    def worst(self, dtype: Any) -> Any:
        """What padding is filled with."""
        if jnp.issubdtype(dtype, jnp.floating):
            return self.padding * math.inf
        return jnp.iinfo(dtype).min if self.padding < 0 else jnp.iinfo(dtype).max


LARGEST = Extreme(lax.gt, lax.max, jnp.max, -1)
SMALLEST = Extreme(lax.lt, lax.min, jnp.min, 1)


def stages(g: Windows, *, reduced: bool = True) -> tuple[Windows, ...]:
    """The windows to go through one after the other; `reduced` if tiles may be one reduction."""
    if math.prod(g.window) <= UNROLLED or (reduced and side_by_side(g)):
        return (g,)
    return tuple(along(g, dim) for dim in reversed(range(g.dims)))


def best(e: Extreme, g: Windows, x: Array) -> Array:
    """The extreme of each window; NaN if it holds one."""
    for stage in stages(g):
        x = _best(e, stage, x)
    return x


def _best(e: Extreme, g: Windows, x: Array) -> Array:
    if _is_reduced(g):
        return e.best(*tiles(g, x, e.worst(x.dtype)))
    return reduce(e.better, views(g, x, e.worst(x.dtype)))


def _is_reduced(g: Windows) -> bool:
    return math.prod(g.window) > REDUCED and side_by_side(g)


# The first of equals.


def find(e: Extreme, g: Windows, x: Array) -> tuple[Array, Array]:
    """The extreme of each window of one stage, and the offset where it is first found.

    The offset is flat in row-major order, in the smallest unsigned integer that holds it. It
    is one that sees x, and not padding, if any does.
    """
    count = math.prod(g.window)
    dtype = np.min_scalar_type(count - 1)
    worst = e.worst(x.dtype)
    if _is_reduced(g):
        values, axes = tiles(g, x, worst)
        y, found = first_of(e, axes, count, values, _tile_offsets(g, seen=True))
        return y, found.astype(dtype)
    first, *others = views(g, x, worst)
    # Both take the sharding of x from its views: a constant of y's shape would have none.
    y = jnp.full_like(first, worst)
    index: Any = _first_inside(g).astype(dtype)
    for a, view in enumerate([first, *others]):
        # Strictly more extreme, so the first of equals stays; a NaN beats all but an earlier NaN.
        better = e.beats(view, y) | (jnp.isnan(view) & ~jnp.isnan(y))
        y = jnp.where(better, view, y)
        index = jnp.where(better, jnp.asarray(a, dtype), index)
    return y, index


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
    if _is_reduced(g):
        axes = window_axes(g)
        chosen = _tile_offsets(g) == jnp.expand_dims(index.astype(np.int32), axes)
        return from_tiles(g, jnp.where(chosen, jnp.expand_dims(dy, axes), 0))
    parts = (jnp.where(index == a, dy, 0) for a in range(math.prod(g.window)))
    return overlap_add(g, parts)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def first_of(
    e: Extreme, axes: Ints, count: int, values: Array, offsets: Array
) -> tuple[Array, Array]:
    """The extreme along `axes`, and the smallest of its offsets.

    Offsets run from 0 to count − 1; an offset of `count` says that there is padding.
    """
    y = e.best(values, axes, keepdims=True)
    found = (values == y) | jnp.isnan(values)
    index = jnp.min(jnp.where(found, offsets, count), axes)
    return jnp.squeeze(y, axes), jnp.minimum(index, count - 1)


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


# All equals.


def tied(e: Extreme, g: Windows, x: Array) -> list[list[Array]]:
    """For each stage and each offset, which windows find their extreme there.

    A value ties in its window if its row ties among the rows and it ties in its row.
    """
    found = []
    for stage in stages(g, reduced=False):
        y = _best(e, stage, x)
        seen = zip(views(stage, x, e.worst(x.dtype)), _inside(stage), strict=True)
        found.append([((view == y) | jnp.isnan(view)) & inside for view, inside in seen])
        x = y
    return found


def add_up(g: Windows, found: list[list[Array]], values: Array) -> Array:
    """The sum of the values that tie, for each window."""
    for stage, bits in zip(stages(g, reduced=False), found, strict=True):
        seen = zip(bits, views(stage, values, 0), strict=True)
        values = reduce(jnp.add, (jnp.where(bit, view, 0) for bit, view in seen))
    return values


def share_out(g: Windows, found: list[list[Array]], dy: Array) -> Array:
    """Each window's dy at every value that ties: the transpose of `add_up`."""
    for stage, bits in reversed(list(zip(stages(g, reduced=False), found, strict=True))):
        dy = overlap_add(stage, (jnp.where(bit, dy, 0) for bit in bits))
    return dy


def how_many(g: Windows, found: list[list[Array]], dtype: Any) -> Array:
    """How many values tie in each window; 1 in a window of padding alone."""
    first, *later = found
    counts = reduce(jnp.add, (bit.astype(dtype) for bit in first))
    for stage, bits in zip(stages(g, reduced=False)[1:], later, strict=True):
        seen = zip(bits, views(stage, counts, 0), strict=True)
        counts = reduce(jnp.add, (jnp.where(bit, view, 0) for bit, view in seen))
    return jnp.maximum(counts, 1)


def _inside(g: Windows) -> Iterator[Any]:
    """For each offset, which windows see x there and not padding (True: all of them)."""
    tables = landing(g, ((0, 0),) * g.dims)
    for a in offsets(g):
        columns = [table[:, i] for table, i in zip(tables, a, strict=True)]
        yield True if all(c.all() for c in columns) else outer(g, columns, np.logical_and)


_WORD = 32


def pack(bits: list[Array]) -> list[Array]:
    """Boolean arrays as the bits of unsigned integers, up to 32 in each."""
    words = []
    for start in range(0, len(bits), _WORD):
        chunk = bits[start : start + _WORD]
        dtype = np.min_scalar_type((1 << len(chunk)) - 1)
        shifted = (bit.astype(dtype) << jnp.asarray(i, dtype) for i, bit in enumerate(chunk))
        words.append(reduce(jnp.bitwise_or, shifted))
    return words


def unpack(words: list[Array], count: int) -> list[Array]:
    """The boolean arrays that `pack` packed."""
    bits = []
    for i in range(count):
        word = words[i // _WORD]
        bits.append((word >> jnp.asarray(i % _WORD, word.dtype)) & jnp.asarray(1, word.dtype) == 1)
    return bits
