"""Batch norm: normalize each channel by statistics of the batch, or by given ones."""

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import (
    Layout,
    aligned,
    as_array,
    as_float,
    check_floating,
    check_shape,
    is_sequence,
    per_channel,
)
from jaxconv._core.geometry import image_axes
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv.normalization._normalize import Groups, normalize

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
    r"""Normalize each channel to mean 0 and variance 1 over the batch, then scale and shift it.

    With m, the count of numbers in a channel (N times the spatial sizes), and r = 1/√(var + ε):

        mean = 1/m · Σ x,        var = 1/m · Σ (x − mean)²,        x̂ = (x − mean) · r
        y    = scale · x̂ + bias

    Every x also changes the mean and the variance, and through them every y of its channel:

        dscale = Σ dy · x̂,        dbias = Σ dy
        dx = scale · r · (dy − dbias/m − x̂ · dscale/m) + dmean/m + 2/m · (x − mean) · dvar

    The last two terms come from mean and var, which are differentiable outputs too; they vanish
    if the loss does not use these outputs.

    Saved for the backward pass: x − mean (for 16-bit floats x and each channel's mean instead),
    scale, and each channel's r.

    With `axis_name`, m and the sums behind mean, var and dx extend over all devices of the mapped
    axis, so that each device returns its part of what one device would compute from the whole
    batch. dscale and dbias remain sums over the device's own examples, like the gradient of any
    other parameter.

    In a channel of m equal numbers x̂ is 0, so y = bias. dx is not 0: it is
    scale·r·(dy − mean dy), with the large factor r = 1/√ε, plus the terms of dmean and dvar; both
    statements hold up to rounding. It is 0 for every dy only if m = 1, where PyTorch raises an
    error.
    If x is empty (N = 0), mean, var and all gradients are 0 and not NaN. A NaN makes its whole
    channel NaN, forward and backward.

    Example:
        >>> import jax.numpy as jnp
        >>> y, mean, var = batch_norm(jnp.array([[1.0], [3.0]]), jnp.ones(1), jnp.zeros(1), eps=0)
        >>> y[:, 0].tolist(), float(mean[0]), float(var[0])
        ([-1.0, 1.0], 2.0, 1.0)

    Args:
        x: input, (N, *spatial, C) with 0 to 3 spatial dimensions.
        scale: one number per channel, (C,).
        bias: one number per channel, (C,).
        eps: ε, at least 0.
        axis_name: the name or names of mapped axes (`jax.shard_map`, `jax.vmap`, `jax.pmap`)
            over which the batch is spread.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        (y, mean, var): y in the layout of x, mean and var as (C,), all in the dtype of x. var is
        the biased variance, Σ/m, so running averages of it differ from those of PyTorch, which
        uses Σ/(m − 1). 16-bit floats are computed in float32.

    Raises:
        TypeError: x, scale and bias are not floating-point arrays of one dtype, or eps or
            axis_name has a wrong type.
        ValueError: the shapes do not fit, eps is negative, or an axis is not mapped here.

    The derivation: docs/derivations/normalization.md.
    """
    op = "batch_norm"
    x, scale, bias = _arrays(op, x=x, scale=scale, bias=bias)
    spatial, channel = image_axes(op, x, layout, fewest=0)
    check_shape(op, "scale", scale, (x.shape[channel],))
    check_shape(op, "bias", bias, (x.shape[channel],))
    devices = _mapped_axes(op, axis_name)
    g = Groups(
        (0, *spatial), (channel,), as_float(op, "eps", eps, 0),
        devices=devices, device_count=lax.axis_size(devices),
    )  # fmt: skip
    # Aligned with the index of the device, x counts as different on each device even if it is not.
    x, scale, bias, *_ = aligned(x, scale, bias, *map(lax.axis_index, devices))
    y, *moments = normalize(g, x, scale, bias)
    mean, var = (moment.reshape(-1) for moment in moments)
    return (y, *lax.pmean((mean, var), devices)) if devices else (y, mean, var)


def _arrays(op: str, **named: object) -> tuple[Array, ...]:
    arrays = {name: as_array(op, name, value) for name, value in named.items()}
    check_floating(op, **arrays)
    return tuple(arrays.values())


def _mapped_axes(op: str, axis_name: Any) -> tuple[str, ...]:
    names = () if axis_name is None else axis_name
    names = tuple(names) if is_sequence(names) else (names,)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"{op}: axis_name must be None, a name or a tuple of names, but got {axis_name!r}"
        )
    if len(set(names)) != len(names):
        raise ValueError(f"{op}: axis_name must name different axes, but got {axis_name!r}")
    try:
        lax.axis_size(names)
    except NameError:
        raise ValueError(
            f"{op}: axis_name must be of axes that are mapped here, but got {axis_name!r}"
        ) from None
    return names


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
    r"""Batch norm with given statistics: one affine map for each channel.

        y = scale · (x − mean) · r + bias,        r = 1/√(var + ε)

    Here mean and var do not depend on x, so with sums over all axes but the channels

        dx     = scale · r · dy
        dbias  = Σ dy,                      dmean = −scale · r · Σ dy
        dscale = r · Σ dy · (x − mean),     dvar  = −½ · scale · r³ · Σ dy · (x − mean)

    Saved for the backward pass: x, scale, mean and var. A NaN in x makes its own y NaN, and
    dscale and dvar of its channel. If the batch is empty, all gradients are 0.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0], [5.0]])
        >>> one = jnp.ones(1)
        >>> print(batch_norm_inference(x, 2 * one, one, mean=3 * one, var=4 * one).round(3))
        [[-1.       ]
         [ 3.0000002]]

    Args:
        x: input, (N, *spatial, C) with 0 to 3 spatial dimensions.
        scale: one number per channel, (C,).
        bias: one number per channel, (C,).
        mean: (C,), for example a running average of the mean that `jaxconv.batch_norm` returns.
        var: (C,), for example a running average of its variance.
        eps: ε, at least 0.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y in the layout and dtype of x. 16-bit floats are computed in float32.

    Raises:
        TypeError: the arrays are not floating-point arrays of one dtype, or eps is not a number.
        ValueError: the shapes do not fit, or eps is negative.

    The derivation: docs/derivations/normalization.md.
    """
    op = "batch_norm_inference"
    arrays = _arrays(op, x=x, scale=scale, bias=bias, mean=mean, var=var)
    _, channel = image_axes(op, arrays[0], layout, fewest=0)
    for name, array in zip(("scale", "bias", "mean", "var"), arrays[1:], strict=True):
        check_shape(op, name, array, (arrays[0].shape[channel],))
    eps = as_float(op, "eps", eps, 0)
    return _given(channel, eps, *aligned(*arrays))


def _given_value(
    channel: int, eps: float, x: Array, scale: Array, bias: Array, mean: Array, var: Array
) -> Array:
    scale, bias, mean, var = (per_channel(a, x, channel) for a in (scale, bias, mean, var))
    centred = x.astype(mean.dtype) - mean
    return (centred * lax.rsqrt(var + eps) * scale + bias).astype(x.dtype)


def _given_forward(
    channel: int, eps: float, x: Array, scale: Array, bias: Array, mean: Array, var: Array
) -> tuple[Array, tuple[Array, Array, Array, Array]]:
    return _given_value(channel, eps, x, scale, bias, mean, var), (x, scale, mean, var)


def _given_backward(
    channel: int, eps: float, residuals: tuple[Array, Array, Array, Array], dy: Array
) -> tuple[Array, ...]:
    x, *small = residuals
    scale, mean, var = (per_channel(each, x, channel) for each in small)
    centred = x.astype(mean.dtype) - mean
    dy = dy.astype(mean.dtype)
    others = tuple(axis for axis in range(x.ndim) if axis != channel)
    total = jnp.sum(dy, others, keepdims=True)
    along = jnp.sum(dy * centred, others, keepdims=True)
    rstd = lax.rsqrt(var + eps)
    d_scale, d_bias = rstd * along, total
    # r³ is computed as r/(var + ε), which contains the rounding error of r only once.
    d_mean, d_var = -scale * rstd * total, -scale * (rstd / (var + eps)) * along / 2
    dx = dy * scale * rstd
    sums = (d.reshape(-1).astype(x.dtype) for d in (d_scale, d_bias, d_mean, d_var))
    return (dx.astype(x.dtype), *sums)


_given = Rule(_given_forward, _given_backward, static=2, name="batch_norm_inference")
