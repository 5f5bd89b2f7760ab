"""Adaptive pooling: the output size is given, and the windows follow from it.

The windows of a dimension may have two lengths, so a table lists the positions of each window. The
code takes the first member of every window as one array, then the second of every window, and so
on. XLA makes one vectorized loop of all these arrays, whereas a reduction over an axis of members
would look up each number: the backward pass of the mean, 64×32×32×64 to 7×7, takes 1.4 ms instead
of 31 ms.
"""

from collections.abc import Callable, Iterator
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv._core.arguments import (
    IntOrInts,
    Layout,
    accumulator,
    as_array,
    check_floating,
    check_number,
    per_dimension,
)
from jaxconv._core.geometry import Ints, check_positions, image_axes
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv.pooling._extremes import LARGEST, by_itself, first_of
from jaxconv.pooling._selection import UNROLLED
from jaxconv.pooling.avg_pool import mean_rule
from jaxconv.pooling.global_pool import tiling
from jaxconv.pooling.max_pool import extreme


def adaptive_avg_pool(
    x: Shaped[Array, "N *spatial C"], output_size: IntOrInts, *, layout: Layout = "channels_last"
) -> Shaped[Array, "N *output_size C"]:
    r"""The mean of each of o windows that cover x.

        y[n, i, c]  = 1/count[i] · Σ_{p in window i} x[n, p, c]

        dx[n, p, c] = Σ_{i : p in window i} dy[n, i, c] / count[i]

    Window i is [⌊i·n/o⌋, ⌈(i+1)·n/o⌉) along a dimension of size n, and count[i] is its number of
    positions. If o divides n, windows of n/o positions lie side by side. Otherwise windows may
    differ in length by one, and neighbours may share a position. If o > n, positions are
    repeated. Nothing is saved for the backward pass.

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_avg_pool(jnp.array([[[1.0], [3.0], [2.0]]]), 2)[0, :, 0].tolist()
        [2.0, 2.5]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions.
        output_size: o, an int or one per spatial dimension.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, *output_size, C) in the layout and dtype of x; 16-bit floats are summed in float32.

    Raises:
        TypeError: x is not a floating-point array, or output_size is not an int or ints.
        ValueError: x has no positions, a size is below 1, or the layout is unknown.

    The derivation: docs/derivations/pooling.md.
    """
    x = as_array("adaptive_avg_pool", "x", x)
    check_floating("adaptive_avg_pool", x=x)
    axes, size, output = _sizes("adaptive_avg_pool", x, output_size, layout)
    if _divides(size, output):
        return mean_rule(tiling(size, output, layout), True, None, x)
    return _mean(axes, size, output, x)


def _mean_forward(axes: Ints, size: Ints, output: Ints, x: Array) -> tuple[Array, None]:
    total = x.astype(accumulator(x.dtype))
    for axis, n, o in zip(axes, size, output, strict=True):
        total = _sum_of_members(axis, _windows(n, o), _those_real, total)
    return (total / _counts(axes, size, output, total)).astype(x.dtype), None


def _mean_backward(
    axes: Ints, size: Ints, output: Ints, residuals: None, dy: Array
) -> tuple[Array]:
    wide = dy.astype(accumulator(dy.dtype))
    dx = wide / _counts(axes, size, output, wide)
    for axis, n, o in zip(axes, size, output, strict=True):
        dx = _sum_of_members(axis, _owners(n, o), _those_real, dx)
    return (dx.astype(dy.dtype),)


def _those_real(real: np.ndarray, seen: Array) -> Array:
    return seen if real.all() else jnp.where(real, seen, 0)


_mean = Rule(_mean_forward, _mean_backward, static=3, name="adaptive_avg_pool")


def adaptive_max_pool(
    x: Shaped[Array, "N *spatial C"], output_size: IntOrInts, *, layout: Layout = "channels_last"
) -> Shaped[Array, "N *output_size C"]:
    r"""The largest value of each of o windows that cover x.

        y[n, i, c]  = max_{p in window i} x[n, p, c]

        dx[n, p, c] = Σ_{i : p is the first maximum of window i} dy[n, i, c]

    Window i is [⌊i·n/o⌋, ⌈(i+1)·n/o⌉) along a dimension of size n, as in
    `jaxconv.adaptive_avg_pool`. Among equal values the first one in row-major order gets the
    gradient, or the first NaN if a window holds a NaN, as in `jaxconv.max_pool`. Saved for the
    backward pass: if o divides n, what `jaxconv.max_pool` saves; otherwise one index per
    dimension, in small integers.

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_max_pool(jnp.array([[[1.0], [3.0], [2.0]]]), 2)[0, :, 0].tolist()
        [3.0, 3.0]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions; floats or integers.
        output_size: o, an int or one per spatial dimension.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, *output_size, C) in the layout and dtype of x.

    Raises:
        TypeError: x is not an array of numbers, or output_size is not an int or ints.
        ValueError: x has no positions, a size is below 1, or the layout is unknown.

    The derivation: docs/derivations/pooling.md.
    """
    x = as_array("adaptive_max_pool", "x", x)
    check_number("adaptive_max_pool", x=x)
    axes, size, output = _sizes("adaptive_max_pool", x, output_size, layout)
    if _divides(size, output):
        return extreme(LARGEST, tiling(size, output, layout), "first", x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return _largest_compiled(axes, size, output, x)[0]  # integers have no cotangent
    return _max(axes, size, output, x)


def _largest(axes: Ints, size: Ints, output: Ints, x: Array) -> tuple[Array, list[Array]]:
    """Return y and, from the last dimension to the first, the offset of the first maximum."""
    found = []
    for axis, n, o in reversed(list(zip(axes, size, output, strict=True))):
        members, _ = _windows(n, o)
        along = _first_along if members.shape[1] <= UNROLLED else _first_of_spread
        x, index = along(axis, n, o, x)
        found.append(index)
    return x, found


def _first_of_spread(axis: int, n: int, o: int, x: Array) -> tuple[Array, Array]:
    """Return the largest of each window along an axis and its first offset, in one reduction."""
    members, real = _windows(n, o)
    count = members.shape[1]
    seen = jnp.take(x, members, axis=axis, mode="clip")
    values = jnp.where(_beside(x, axis, real), seen, LARGEST.worst(x.dtype))
    offsets = np.where(real, np.arange(count, dtype=np.int32), np.int32(count))
    y, index = first_of(LARGEST, (axis + 1,), count, values, _beside(x, axis, offsets))
    return y, index.astype(np.min_scalar_type(count - 1))


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _first_along(axis: int, n: int, o: int, x: Array) -> tuple[Array, Array]:
    """Return the largest of each window along an axis and its first offset, offset by offset."""
    y = by_itself(partial(_largest_along, axis, n, o), x)
    return y, by_itself(partial(_place, axis, n, o), x, y)


@_first_along.defjvp
def _first_along_jvp(
    axis: int, n: int, o: int, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[tuple[Array, Array], tuple[Array, Any]]:
    """Return ẏ = ẋ at the index. JAX would differentiate a chain of maxima and halve at ties."""
    (x,), (x_dot,) = primals, tangents
    y, index = _first_along(axis, n, o, x)
    offsets = enumerate(_members(x_dot, axis, _windows(n, o)[0]))
    y_dot = reduce(lax.add, (jnp.where(index == j, seen, 0) for j, seen in offsets))
    return (y, index), (y_dot, np.zeros(index.shape, jax.dtypes.float0))


def _largest_along(axis: int, n: int, o: int, x: Array) -> Array:
    return reduce(LARGEST.better, _seen(axis, n, o, x))


def _place(axis: int, n: int, o: int, x: Array, y: Array) -> Array:
    """Return the first offset whose value is y or NaN; they are tried from last to first."""
    seen = list(enumerate(_seen(axis, n, o, x)))
    index = jnp.full_like(y, len(seen) - 1, np.min_scalar_type(len(seen) - 1))
    for j, view in reversed(seen[:-1]):
        found = (view == y) | jnp.isnan(view)
        index = jnp.where(found, jnp.asarray(j, index.dtype), index)
    return index


def _seen(axis: int, n: int, o: int, x: Array) -> Iterator[Array]:
    """Yield for each offset what the windows see; short windows see padding at the last one."""
    members, real = _windows(n, o)
    for view, inside in zip(_members(x, axis, members), real.T, strict=True):
        padding = LARGEST.worst(x.dtype)
        yield view if inside.all() else jnp.where(_along(x, axis, inside), view, padding)


_largest_compiled = jax.jit(_largest, static_argnums=(0, 1, 2), inline=True)


def _max_backward(
    axes: Ints, size: Ints, output: Ints, found: list[Array], dy: Array
) -> tuple[Array]:
    dx = dy.astype(accumulator(dy.dtype))
    for axis, n, o, index in zip(axes, size, output, reversed(found), strict=True):
        positions, _ = _windows(n, o)
        count = positions.shape[1]
        owners, real = _owners(n, o)
        here = np.arange(n)[:, None] - positions[owners, 0]
        # Table entries that are not real owners get an offset that no window has.
        here = np.where(real, here, count).astype(np.min_scalar_type(count))
        dx = _sum_of_members(axis, (owners, here), _those_here, dx, index.astype(here.dtype))
    return (dx.astype(dy.dtype),)


def _those_here(here: np.ndarray, seen: Array, index: Array) -> Array:
    return jnp.where(index == here, seen, 0)


_max = Rule(_largest, _max_backward, static=3, name="adaptive_max_pool")


# Two static tables: row i of the first lists the positions in window i, row p of the second the
# windows that see position p. Each has a mask of its real entries, because rows differ in length.


def _windows(n: int, o: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each window i the positions ⌊i·n/o⌋ … ⌈(i+1)·n/o⌉ − 1, and which are real."""
    start = np.arange(o) * n // o
    stop = -(-(np.arange(1, o + 1) * n) // o)
    return _ranges(start, stop, n)


def _owners(n: int, o: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each position p the windows that see it, ⌊p·o/n⌋ … ⌈(p+1)·o/n⌉ − 1."""
    return _windows(o, n)


def _ranges(start: np.ndarray, stop: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    members = start[:, None] + np.arange((stop - start).max())
    return np.minimum(members, limit - 1), members < stop[:, None]


def _sum_of_members(
    axis: int,
    table: tuple[np.ndarray, np.ndarray],
    term: Callable[..., Array],
    *arrays: Array,
) -> Array:
    """Sum term(mark, *values) over the members in each row of a table (members, marks).

    `values` are what the arrays hold at a member.
    """
    members, said = table
    if members.shape[1] > UNROLLED:
        seen = (jnp.take(array, members, axis=axis, mode="clip") for array in arrays)
        return jnp.sum(term(_beside(arrays[0], axis, said), *seen), axis + 1)
    views = zip(*(_members(array, axis, members) for array in arrays), strict=True)
    return reduce(
        lax.add,
        (term(_along(arrays[0], axis, s), *v) for s, v in zip(said.T, views, strict=True)),
    )


def _members(x: Array, axis: int, members: np.ndarray) -> Iterator[Array]:
    """Yield the first member of every row along an axis, then the second, and so on."""
    return (jnp.take(x, who, axis=axis, mode="clip") for who in members.T)


def _along(x: Array, axis: int, vector: np.ndarray) -> np.ndarray:
    """Shape a vector to lie on this axis of x."""
    return np.expand_dims(vector, [a for a in range(x.ndim) if a != axis])


def _beside(x: Array, axis: int, table: np.ndarray) -> np.ndarray:
    """Shape a table to lie on two axes in place of this one: its rows, and their members."""
    return table.reshape(*(1,) * axis, *table.shape, *(1,) * (x.ndim - axis - 1))


def _counts(axes: Ints, size: Ints, output: Ints, y: Array) -> np.ndarray:
    """Return how many positions each window holds, shaped to broadcast against y."""
    count = np.ones((1,) * y.ndim, y.dtype)
    for axis, n, o in zip(axes, size, output, strict=True):
        held = _windows(n, o)[1].sum(axis=1).astype(y.dtype)
        count = count * _along(y, axis, held)
    return count


def _divides(size: Ints, output: Ints) -> bool:
    return all(n % o == 0 for n, o in zip(size, output, strict=True))


def _sizes(op: str, x: Array, output_size: IntOrInts, layout: Layout) -> tuple[Ints, Ints, Ints]:
    """Return the spatial axes, their sizes in x and their sizes in y."""
    axes, _ = image_axes(op, x, layout)
    size = tuple(x.shape[axis] for axis in axes)
    output = per_dimension(op, "output_size", output_size, len(axes), 1)
    check_positions(op, x, axes)
    return axes, size, output
