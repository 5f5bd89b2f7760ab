"""Flax's pooling functions, which `flax.linen` and `flax.nnx` share."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array

import jaxconv
from jaxconv._core.extras import needs
from jaxconv._core.symbolic import at_least
from jaxconv.normalization._mixed import are_floating

with needs("flax"):
    from flax import linen


def max_pool(
    inputs: Array,
    window_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str | Sequence[tuple[int, int]] = "VALID",
) -> Array:
    """Return the maximum of each window, as `flax.linen.max_pool`, by `jaxconv.max_pool`.

    Flax's own code runs for more than 3 window dimensions, a padding of more than half the window,
    and what is not an array of floats, or where no window fits.

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool(jnp.array([[[1.0], [3.0], [2.0]]]), (2,))[0, :, 0].tolist()
        [3.0, 3.0]

    Args:
        inputs: (*batch, *spatial, C) with any number of batch axes.
        window_shape: the size of the window in each spatial dimension.
        strides: the stride in each spatial dimension; None means 1.
        padding: "SAME", "VALID", or a (low, high) pair for each spatial dimension.

    Returns:
        The maxima, (*batch, *spatial_out, C).
    """
    if not _takes(inputs, window_shape, strides, padding, [k // 2 for k in window_shape]):
        return linen.pooling.max_pool(inputs, window_shape, strides, padding)
    return _pooled(jaxconv.max_pool, inputs, window_shape, strides, padding)


def min_pool(
    inputs: Array,
    window_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str | Sequence[tuple[int, int]] = "VALID",
) -> Array:
    """Return the minimum of each window, as `flax.linen.pooling.min_pool`, by `jaxconv.min_pool`.

    Flax's own code runs where it does for `max_pool`.

    Example:
        >>> import jax.numpy as jnp
        >>> min_pool(jnp.array([[[1.0], [3.0], [2.0]]]), (2,))[0, :, 0].tolist()
        [1.0, 2.0]

    Args:
        inputs: (*batch, *spatial, C) with any number of batch axes.
        window_shape: the size of the window in each spatial dimension.
        strides: the stride in each spatial dimension; None means 1.
        padding: "SAME", "VALID", or a (low, high) pair for each spatial dimension.

    Returns:
        The minima, (*batch, *spatial_out, C).
    """
    if not _takes(inputs, window_shape, strides, padding, [k // 2 for k in window_shape]):
        return linen.pooling.min_pool(inputs, window_shape, strides, padding)
    return _pooled(jaxconv.min_pool, inputs, window_shape, strides, padding)


def avg_pool(
    inputs: Array,
    window_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str | Sequence[tuple[int, int]] = "VALID",
    count_include_pad: bool = True,
) -> Array:
    """Return the mean of each window, as `flax.linen.avg_pool`, by `jaxconv.avg_pool`.

    Flax's own code runs for more than 3 window dimensions, a padding that spans the window, what
    is not an array of floats, and where no window fits. As in Flax, with `count_include_pad=False`
    the result has JAX's default float dtype if that is wider than the input's.

    Example:
        >>> import jax.numpy as jnp
        >>> avg_pool(jnp.array([[[1.0], [3.0], [2.0]]]), (2,))[0, :, 0].tolist()
        [2.0, 2.5]

    Args:
        inputs: (*batch, *spatial, C) with any number of batch axes.
        window_shape: the size of the window in each spatial dimension.
        strides: the stride in each spatial dimension; None means 1.
        padding: "SAME", "VALID", or a (low, high) pair for each spatial dimension.
        count_include_pad: whether the zeros of the padding are counted as values.

    Returns:
        The means, (*batch, *spatial_out, C).
    """
    if not _takes(inputs, window_shape, strides, padding, [k - 1 for k in window_shape]):
        return linen.pooling.avg_pool(inputs, window_shape, strides, padding, count_include_pad)
    if not count_include_pad:
        inputs = inputs.astype(jnp.promote_types(inputs.dtype, jnp.ones(()).dtype))
    return _pooled(
        jaxconv.avg_pool, inputs, window_shape, strides, padding,
        count_include_pad=bool(count_include_pad),
    )  # fmt: skip


def _takes(
    inputs: Array, window_shape: Sequence[int], strides: Any, padding: Any, most: Sequence[int]
) -> bool:
    """Return whether the ops pool as Flax does; `most` is the largest padding of each dimension."""
    dims = len(window_shape)
    if not 1 <= dims <= min(3, inputs.ndim - 1) or not are_floating(inputs.dtype):
        return False
    size = inputs.shape[-1 - dims : -1]
    if isinstance(padding, str) and padding != "VALID":
        return padding in ("SAME", "SAME_LOWER") and all(at_least(n, 1) for n in size)
    # For several batch axes, Flax takes a padding only by name.
    pads = padding == "VALID" or (len(padding) == dims and inputs.ndim <= dims + 2)
    pairs = ((0, 0),) * dims if padding == "VALID" else padding
    return pads and all(
        len(pair) == 2 and min(pair) >= 0 and max(pair) <= limit and at_least(n + sum(pair), k)
        for pair, limit, n, k in zip(pairs, most, size, window_shape, strict=True)
    )


def _pooled(
    op: Callable[..., Array],
    inputs: Array,
    window_shape: Sequence[int],
    strides: Any,
    padding: Any,
    **options: bool,
) -> Array:
    """Return what the op makes of `inputs` with all batch axes as one."""
    image = inputs.ndim - len(window_shape) - 1
    batch, rest = inputs.shape[:image], inputs.shape[image:]
    x = jnp.reshape(inputs, (math.prod(batch), *rest))
    y = op(
        x,
        tuple(window_shape),
        stride=tuple(strides or (1,) * len(window_shape)),
        padding=padding,
        **options,
    )
    return y.reshape(*batch, *y.shape[1:])
