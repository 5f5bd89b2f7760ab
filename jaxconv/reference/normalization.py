"""Reference implementations of the normalizations, differentiated by JAX."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv._core.arguments import Layout, accumulator, per_channel
from jaxconv._core.shapes import Shaped

__all__ = [
    "batch_norm",
    "batch_norm_inference",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "rms_norm",
    "weight_standardize",
]

AxisName = None | str | tuple[str, ...]


def batch_norm(
    x: Shaped[Array, "N *spatial C"],
    scale: Shaped[Array, "C"],
    bias: Shaped[Array, "C"],
    *,
    eps: float = 1e-5,
    axis_name: AxisName = None,
    layout: Layout = "channels_last",
) -> tuple[Shaped[Array, "N *spatial C"], Shaped[Array, "C"], Shaped[Array, "C"]]:
    """See `jaxconv.batch_norm`."""
    channel = x.ndim - 1 if layout == "channels_last" else 1
    axes = tuple(axis for axis in range(x.ndim) if axis != channel)
    wide = x.astype(accumulator(x.dtype))
    mean = _mean(wide, axes)
    if axis_name not in (None, ()):
        mean = lax.pmean(mean, axis_name)
    var = _mean((wide - mean) ** 2, axes)
    if axis_name not in (None, ()):
        var = lax.pmean(var, axis_name)
    y = (wide - mean) / jnp.sqrt(var + eps)
    y = y * _per_channel(scale, x, layout) + _per_channel(bias, x, layout)
    mean, var = mean.reshape(-1), var.reshape(-1)
    return y.astype(x.dtype), mean.astype(x.dtype), var.astype(x.dtype)


def batch_norm_inference(
    x: Shaped[Array, "N *spatial C"],
    scale: Shaped[Array, "C"],
    bias: Shaped[Array, "C"],
    mean: Shaped[Array, "C"],
    var: Shaped[Array, "C"],
    *,
    eps: float = 1e-5,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial C"]:
    """See `jaxconv.batch_norm_inference`."""
    scale, bias, mean, var = (_per_channel(a, x, layout) for a in (scale, bias, mean, var))
    wide = x.astype(accumulator(x.dtype))
    return (scale * (wide - mean) / jnp.sqrt(var + eps) + bias).astype(x.dtype)


def layer_norm(
    x: Shaped[Array, "*shape"],
    scale: Shaped[Array, "*normalized"] | None = None,
    bias: Shaped[Array, "*normalized"] | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
) -> Shaped[Array, "*shape"]:
    """See `jaxconv.layer_norm`."""
    axes = _axes(x, axis)
    y = _standardize(x.astype(accumulator(x.dtype)), axes, eps)
    return _affine(y, _along(axes, x, scale), _along(axes, x, bias)).astype(x.dtype)


def rms_norm(
    x: Shaped[Array, "*shape"],
    scale: Shaped[Array, "*normalized"] | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-6,
) -> Shaped[Array, "*shape"]:
    """See `jaxconv.rms_norm`."""
    axes = _axes(x, axis)
    wide = x.astype(accumulator(x.dtype))
    y = wide / jnp.sqrt(_mean(wide**2, axes) + eps)
    return _affine(y, _along(axes, x, scale), None).astype(x.dtype)


def group_norm(
    x: Shaped[Array, "N *spatial C"],
    scale: Shaped[Array, "C"],
    bias: Shaped[Array, "C"],
    groups: int,
    *,
    eps: float = 1e-5,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial C"]:
    """See `jaxconv.group_norm`."""
    if layout == "channels_first":
        x = jnp.moveaxis(x, 1, -1)
    n, *spatial, channels = x.shape
    grouped = x.astype(accumulator(x.dtype)).reshape(n, *spatial, groups, channels // groups)
    y = _standardize(grouped, (*range(1, x.ndim - 1), x.ndim), eps).reshape(x.shape)
    scale, bias = (per_channel(a, y, y.ndim - 1) for a in (scale, bias))
    y = (y * scale + bias).astype(x.dtype)
    return jnp.moveaxis(y, -1, 1) if layout == "channels_first" else y


def instance_norm(
    x: Shaped[Array, "N *spatial C"],
    scale: Shaped[Array, "C"] | None = None,
    bias: Shaped[Array, "C"] | None = None,
    *,
    eps: float = 1e-5,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial C"]:
    """See `jaxconv.instance_norm`."""
    first = 1 if layout == "channels_last" else 2
    y = _standardize(x.astype(accumulator(x.dtype)), tuple(range(first, first + x.ndim - 2)), eps)
    scale = None if scale is None else _per_channel(scale, x, layout)
    bias = None if bias is None else _per_channel(bias, x, layout)
    return _affine(y, scale, bias).astype(x.dtype)


def weight_standardize(
    w: Shaped[Array, "*window C_group C_out"],
    *,
    eps: float = 1e-5,
    layout: Layout = "channels_last",
) -> Shaped[Array, "*window C_group C_out"]:
    """See `jaxconv.weight_standardize`."""
    axes = range(w.ndim - 1) if layout == "channels_last" else range(1, w.ndim)
    return _standardize(w.astype(accumulator(w.dtype)), tuple(axes), eps).astype(w.dtype)


def local_response_norm(
    x: Shaped[Array, "N *spatial C"],
    size: int,
    *,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial C"]:
    """See `jaxconv.local_response_norm`."""
    channel = x.ndim - 1 if layout == "channels_last" else 1
    wide = x.astype(accumulator(x.dtype))
    window, padding = [1] * x.ndim, [(0, 0)] * x.ndim
    window[channel], padding[channel] = size, (size // 2, (size - 1) // 2)
    zero, strides = np.zeros((), wide.dtype), (1,) * x.ndim
    squares = lax.reduce_window(wide**2, zero, lax.add, window, strides, padding)
    return (wide / (k + alpha / size * squares) ** beta).astype(x.dtype)


def _standardize(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    centred = x - _mean(x, axes)
    return centred / jnp.sqrt(_mean(centred**2, axes) + eps)


def _mean(x: Array, axes: tuple[int, ...]) -> Array:
    """Return the mean, or 0 if there are no elements."""
    return jnp.sum(x, axes, keepdims=True) / max(1, math.prod(x.shape[axis] for axis in axes))


def _axes(x: Array, axis: int | Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(a % x.ndim for a in ([axis] if isinstance(axis, int) else axis)))


def _along(axes: tuple[int, ...], x: Array, values: Array | None) -> Array | None:
    """Return values that have the shape of x along the axes, shaped to broadcast against x."""
    if values is None:
        return None
    others = tuple(axis for axis in range(x.ndim) if axis not in axes)
    return jnp.expand_dims(values.astype(accumulator(x.dtype)), others)


def _per_channel(values: Array, x: Array, layout: Layout) -> Array:
    return per_channel(values, x, x.ndim - 1 if layout == "channels_last" else 1)


def _affine(x_hat: Array, scale: Array | None, bias: Array | None) -> Array:
    y = x_hat if scale is None else x_hat * scale
    return y if bias is None else y + bias
