"""What every way of finding an extreme shares: which of two values it is, and where it stands."""

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv.arguments import at_least
from jaxconv.geometry import Ints, Windows
from jaxconv.memory import in_a_call
from jaxconv.windows import add_back, first_and_count, landing

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


def index_dtype(g: Windows) -> Any:
    """The smallest unsigned integer that holds every offset of the window."""
    return np.min_scalar_type(math.prod(g.window) - 1)


def give_at(g: Windows, index: Array, dy: Array) -> Array:
    """Each window's dy at its offset `index`, turn by turn; at none if that is Π K."""
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
    if not at_least(x.size, LEAST_MATCHED):
        return compute(x, *others)
    return in_a_call(compute, x, *others)


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


def tile_offsets(g: Windows, *, seen: bool = False) -> np.ndarray:
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


def first_inside(g: Windows) -> np.ndarray:
    """Per window the first offset that sees x (0 where none does), flat in row-major order."""
    rest = math.prod(g.window)
    flat = []
    for (first, _), k in zip(first_and_count(g, ((0, 0),) * g.dims), g.window, strict=True):
        rest //= k
        flat.append(first * rest)
    return outer(g, flat, np.add)


def outer(g: Windows, vectors: list[np.ndarray], combine: np.ufunc) -> np.ndarray:
    """One value per window from one vector per dimension, shaped to broadcast against y."""
    return reduce(combine.outer, vectors).reshape(g.on_axes(g.output, 1))
