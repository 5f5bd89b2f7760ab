"""What all methods of finding an extreme share: comparing two values, and locating one."""

import math
import operator
from collections.abc import Callable, Sequence
from functools import partial, reduce
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv._core.arguments import DType
from jaxconv._core.barriers import call_unfused_on_cpu
from jaxconv._core.geometry import Ints, Windows
from jaxconv._core.symbolic import as_number, at_least
from jaxconv._core.types import Values
from jaxconv._core.windows import add_back, first_and_count, landing, offsets_of_tiles, window_axes

LEAST_MATCHED = 2**16
"""An x of fewer elements is searched by the same method on all platforms. The number is a caution
and not a measurement: a fraction of a millisecond does not justify compiling two methods."""


class Extreme(NamedTuple):
    """The operations that define one kind of extreme, the largest or the smallest value.

    Attributes:
        beats: whether one value is more extreme than another.
        better: the more extreme of two values; NaN if one of them is NaN.
        best: the most extreme value along some axes; NaN if one of them is NaN.
        mildest: the least extreme value along some axes; NaN if one of them is NaN.
        padding: the sign of the infinity that fills the padding, which every other value beats.
    """

    beats: Callable[..., Array]
    better: Callable[..., Array]
    best: Callable[..., Array]
    mildest: Callable[..., Array]
    padding: int

    def worst(self, dtype: DType) -> float:
        """Return the value that fills the padding."""
        if jnp.issubdtype(dtype, jnp.floating):
            return self.padding * math.inf
        return jnp.iinfo(dtype).min if self.padding < 0 else jnp.iinfo(dtype).max


LARGEST = Extreme(lax.gt, lax.max, jnp.max, jnp.min, -1)
SMALLEST = Extreme(lax.lt, lax.min, jnp.min, jnp.max, 1)


def index_dtype(g: Windows) -> DType:
    """Return the smallest unsigned integer dtype that holds every offset of the window."""
    return _unsigned(math.prod(g.window) - 1)


def _unsigned(largest: object) -> DType:
    return np.min_scalar_type(largest) if isinstance(largest, int) else np.dtype(np.uint32)


def give_at(g: Windows, index: Array, dy: Array) -> Array:
    """Return dx: add each window's dy at its offset `index`; an index of Π K drops it."""
    # The dtype has to hold Π K as well, the offset that no window has.
    index = index.astype(_unsigned(math.prod(g.window)))

    def at_index(a: np.ndarray, index: Array, dy: Array) -> Array:
        return jnp.where(index == a.astype(index.dtype), dy, 0)

    return add_back(g, at_index, index, dy)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def first_of(
    e: Extreme, axes: Ints, count: int, values: Array, offsets: Array
) -> tuple[Array, Array]:
    """Return the extreme along `axes`, and the smallest offset at which it stands.

    Offsets run from 0 to count − 1; an offset of `count` marks padding.
    """
    y = e.best(values, axes, keepdims=True)
    index = by_itself(partial(_first_place, axes, count), values, y, offsets)
    return jnp.squeeze(y, axes), index


def by_itself(compute: Callable[..., Array], x: Array, *others: object) -> Array:
    """Return compute(x, …), which for a large x on a CPU runs in a call of its own.

    Otherwise XLA's CPU backend would write an extreme once for each of the values that are
    compared with it, and would search for an index again wherever it is used.
    """
    if not at_least(x.size, LEAST_MATCHED):
        return compute(x, *others)
    return call_unfused_on_cpu(compute, x, *others)


def _first_place(axes: Ints, count: int, values: Array, y: Array, offsets: Array) -> Array:
    found = (values == y) | jnp.isnan(values)
    none = as_number(count, offsets.dtype)
    return jnp.minimum(jnp.min(jnp.where(found, offsets, none), axes), none - 1)


@first_of.defjvp
def _first_of_jvp(
    e: Extreme, axes: Ints, count: int, primals: tuple[Array, Array], tangents: tuple[Array, object]
) -> tuple[tuple[Array, Array], tuple[Array, Any]]:
    """Return ẏ = ẋ at the index. JAX would differentiate a reduction and split among ties."""
    values, offsets = primals
    y, index = first_of(e, axes, count, values, offsets)
    chosen = offsets == jnp.expand_dims(index, axes)
    nudges, _ = tangents
    y_dot = jnp.sum(jnp.where(chosen, nudges, 0), axes, dtype=y.dtype)
    return (y, index), (y_dot, np.zeros(index.shape, jax.dtypes.float0))


def tile_offsets(g: Windows, *, seen: bool = False) -> np.ndarray | Array:
    """Return every offset on the axes of `tiles`; with `seen`, offsets in padding are Π K."""
    flat = offsets_of_tiles(g)
    if not seen or not any(map(any, g.covering)):
        return flat
    tables = landing(g, ((0, 0),) * g.dims)
    if g.known and all(table.all() for table in tables):
        return flat
    xp: ModuleType = np if g.known else jnp
    each = zip(tables, window_axes(g), strict=True)
    inside = (xp.expand_dims(t, _other_axes(g, (axis - 1, axis))) for t, axis in each)
    return xp.where(reduce(operator.and_, inside), flat, np.int32(math.prod(g.window)))


def _other_axes(g: Windows, axes: Sequence[int]) -> list[int]:
    return [axis for axis in range(2 * g.dims + 2) if axis not in axes]


def first_inside(g: Windows) -> np.ndarray | Array:
    """Return each window's first offset that sees x (0 if none does), flat in row-major order."""
    rest = math.prod(g.window)
    flat = []
    for (first, _), k in zip(first_and_count(g, ((0, 0),) * g.dims), g.window, strict=True):
        rest //= k
        flat.append(first * rest)
    return outer(g, flat, operator.add)


def outer(g: Windows, vectors: Values, combine: Callable[[Any, Any], Any]) -> Any:
    """Combine one vector per dimension into one value per window, to broadcast against y."""
    shapes = ([-1 if axis == own else 1 for axis in range(g.dims + 2)] for own in g.spatial_axes)
    return reduce(combine, (v.reshape(shape) for v, shape in zip(vectors, shapes, strict=True)))
