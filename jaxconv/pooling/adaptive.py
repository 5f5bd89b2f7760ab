"""Adaptive pooling: an output size, and windows that follow from it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv.arguments import (
    IntOrInts,
    Layout,
    accumulator,
    as_array,
    check_floating,
    check_number,
    per_dimension,
)
from jaxconv.geometry import Ints, image_axes
from jaxconv.pooling.largest import extreme
from jaxconv.pooling.mean import mean_compiled
from jaxconv.pooling.selection import LARGEST, first_of
from jaxconv.pooling.whole import tiling


def adaptive_avg_pool(
    x: Array, output_size: IntOrInts, *, layout: Layout = "channels_last"
) -> Array:
    r"""The mean of each of o windows that cover x.

        y[n, i, c]  = 1/count[i] · Σ_{p in window i} x[n, p, c]

        dx[n, p, c] = Σ_{i : p in window i} dy[n, i, c] / count[i]

    Window i is [⌊i·n/o⌋, ⌈(i+1)·n/o⌉) along a dimension of size n: windows of size n/o side by
    side if o divides n, else two sizes, one apart, neighbours sharing a position now and then.
    An o above n repeats positions. Nothing is saved for the backward pass.

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions.
        output_size: o, an int or one per spatial dimension.
        layout: "channels_first" is (N, C, *spatial).

    Returns:
        y, (N, *output_size, C) in the layout and dtype of x; 16-bit floats are summed in float32.

    Raises:
        TypeError: x is no array of floats, output_size is no int.
        ValueError: x has no positions, a size below 1, or an unknown layout.

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_avg_pool(jnp.array([[[1.0], [3.0], [2.0]]]), 2)[0, :, 0].tolist()
        [2.0, 2.5]

    The derivation: docs/derivations/pooling.md.
    """
    x = as_array("adaptive_avg_pool", "x", x)
    check_floating("adaptive_avg_pool", x=x)
    axes, size, output = _sizes("adaptive_avg_pool", x, output_size, layout)
    if _divides(size, output):
        return mean_compiled(tiling(size, output, layout), True, None, x)
    return _mean_compiled(axes, size, output, x)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _mean(axes: Ints, size: Ints, output: Ints, x: Array) -> Array:
    return _mean_forward(axes, size, output, x)[0]


def _mean_forward(axes: Ints, size: Ints, output: Ints, x: Array) -> tuple[Array, None]:
    total = x.astype(accumulator(x.dtype))
    for axis, n, o in zip(axes, size, output, strict=True):
        seen, real = _spread(total, axis, _windows(n, o))
        total = jnp.sum(jnp.where(real, seen, 0), axis + 1)
    return (total / _counts(axes, size, output, total)).astype(x.dtype), None


def _mean_backward(
    axes: Ints, size: Ints, output: Ints, residuals: None, dy: Array
) -> tuple[Array]:
    wide = dy.astype(accumulator(dy.dtype))
    dx = wide / _counts(axes, size, output, wide)
    for axis, n, o in zip(axes, size, output, strict=True):
        seen, real = _spread(dx, axis, _owners(n, o))
        dx = jnp.sum(jnp.where(real, seen, 0), axis + 1)
    return (dx.astype(dy.dtype),)


_mean.defvjp(_mean_forward, _mean_backward)
_mean_compiled = jax.jit(_mean, static_argnums=(0, 1, 2), inline=True)


def adaptive_max_pool(
    x: Array, output_size: IntOrInts, *, layout: Layout = "channels_last"
) -> Array:
    r"""The largest value of each of o windows that cover x.

        y[n, i, c]  = max_{p in window i} x[n, p, c]

        dx[n, p, c] = Σ_{i : p is the first maximum of window i} dy[n, i, c]

    Window i is [⌊i·n/o⌋, ⌈(i+1)·n/o⌉) along a dimension of size n, as in
    `jaxconv.adaptive_avg_pool`. The first of equals, in row-major order, gets the gradient, and
    the first NaN if a window holds one, as in `jaxconv.max_pool`. Saved for the backward pass:
    if o divides n what `jaxconv.max_pool` saves, else an index per dimension, in small integers.

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions; floats or integers.
        output_size: o, an int or one per spatial dimension.
        layout: "channels_first" is (N, C, *spatial).

    Returns:
        y, (N, *output_size, C) in the layout and dtype of x.

    Raises:
        TypeError: x is no array of numbers, output_size is no int.
        ValueError: x has no positions, a size below 1, or an unknown layout.

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_max_pool(jnp.array([[[1.0], [3.0], [2.0]]]), 2)[0, :, 0].tolist()
        [3.0, 3.0]

    The derivation: docs/derivations/pooling.md.
    """
    x = as_array("adaptive_max_pool", "x", x)
    check_number("adaptive_max_pool", x=x)
    axes, size, output = _sizes("adaptive_max_pool", x, output_size, layout)
    if _divides(size, output):
        return extreme(LARGEST, tiling(size, output, layout), "first", x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return _largest_compiled(axes, size, output, x)[0]  # integers have no cotangent
    return _max_compiled(axes, size, output, x)


def _largest(axes: Ints, size: Ints, output: Ints, x: Array) -> tuple[Array, list[Array]]:
    """y, and for each dimension, the last first, the offset of the first maximum along it."""
    found = []
    for axis, n, o in reversed(list(zip(axes, size, output, strict=True))):
        seen, real = _spread(x, axis, _windows(n, o))
        count = seen.shape[axis + 1]
        offsets = _beside(x, axis, np.arange(count, dtype=np.int32)[None])
        values = jnp.where(real, seen, LARGEST.worst(x.dtype))
        offsets = np.where(real, offsets, np.int32(count))
        x, index = first_of(LARGEST, (axis + 1,), count, values, offsets)
        found.append(index.astype(np.min_scalar_type(count - 1)))
    return x, found


_largest_compiled = jax.jit(_largest, static_argnums=(0, 1, 2), inline=True)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _max(axes: Ints, size: Ints, output: Ints, x: Array) -> Array:
    return _largest(axes, size, output, x)[0]


def _max_backward(
    axes: Ints, size: Ints, output: Ints, found: list[Array], dy: Array
) -> tuple[Array]:
    dx = dy.astype(accumulator(dy.dtype))
    for axis, n, o, index in zip(axes, size, output, reversed(found), strict=True):
        owners = _owners(n, o)
        seen, real = _spread(dx, axis, owners)
        offset, _ = _spread(index.astype(np.int32), axis, owners)
        starts = _windows(n, o)[0][:, 0]
        here = _beside(dx, axis, (np.arange(n)[:, None] - starts[owners[0]]).astype(np.int32))
        dx = jnp.sum(jnp.where(real & (offset == here), seen, 0), axis + 1)
    return (dx.astype(dy.dtype),)


_max.defvjp(_largest, _max_backward)
_max_compiled = jax.jit(_max, static_argnums=(0, 1, 2), inline=True)


# Who meets whom: positions for each window, windows for each position. Both tables are
# (whose, who), static, with a mask, because some meet fewer than others.


def _windows(n: int, o: int) -> tuple[np.ndarray, np.ndarray]:
    """For window i the positions ⌊i·n/o⌋ … ⌈(i+1)·n/o⌉ − 1, and which of them are real."""
    start = np.arange(o) * n // o
    stop = -(-(np.arange(1, o + 1) * n) // o)
    return _ranges(start, stop, n)


def _owners(n: int, o: int) -> tuple[np.ndarray, np.ndarray]:
    """For position p the windows that see it, ⌊p·o/n⌋ … ⌈(p+1)·o/n⌉ − 1."""
    return _windows(o, n)


def _ranges(start: np.ndarray, stop: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    members = start[:, None] + np.arange((stop - start).max())
    return np.minimum(members, limit - 1), members < stop[:, None]


def _spread(x: Array, axis: int, table: tuple[np.ndarray, np.ndarray]) -> tuple[Array, np.ndarray]:
    """x with, in place of an axis, those of the table; and which of it is real."""
    members, real = table
    seen = jnp.take(x, members, axis=axis, mode="clip")
    return seen, _beside(x, axis, real)


def _beside(x: Array, axis: int, table: np.ndarray) -> np.ndarray:
    """A table on the two axes that `_spread` puts in place of `axis`."""
    return table.reshape(*(1,) * axis, *table.shape, *(1,) * (x.ndim - axis - 1))


def _counts(axes: Ints, size: Ints, output: Ints, y: Array) -> np.ndarray:
    """How many positions each window holds, shaped to broadcast against y."""
    count = np.ones((1,) * y.ndim, y.dtype)
    for axis, n, o in zip(axes, size, output, strict=True):
        held = _windows(n, o)[1].sum(axis=1).astype(y.dtype)
        count = count * np.expand_dims(held, [a for a in range(y.ndim) if a != axis])
    return count


def _divides(size: Ints, output: Ints) -> bool:
    return all(n % o == 0 for n, o in zip(size, output, strict=True))


def _sizes(op: str, x: Array, output_size: IntOrInts, layout: Layout) -> tuple[Ints, Ints, Ints]:
    """The spatial axes, their sizes in x and their sizes in y."""
    axes, _ = image_axes(op, x, layout)
    size = tuple(x.shape[axis] for axis in axes)
    output = per_dimension(op, "output_size", output_size, len(axes), 1)
    if 0 in size:
        raise ValueError(f"{op}: x has no positions to pool, its shape is {x.shape}")
    return axes, size, output
