"""One rule for every op that takes its statistics from what it normalizes."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import accumulator, aligned
from jaxconv._core.barriers import materialize_on_cpu
from jaxconv._core.rule import Rule
from jaxconv._core.symbolic import as_number, at_least


@dataclass(frozen=True)
class Groups:
    """Which numbers of x are normalized together, and what else is static.

    Attributes:
        axes: a group extends along these axes of x, whole,
        channel_groups: and along a share of the channels, the axis `affine[0]`, if not None;
        devices: and over the devices of these mapped axes,
        device_count: which are so many.
        affine: the axes of x that scale and bias have.
        eps: added to the variance.
        centred: whether the mean is subtracted.
    """

    axes: tuple[int, ...]
    affine: tuple[int, ...]
    eps: float
    channel_groups: int | None = None
    devices: tuple[str, ...] = ()
    device_count: int = 1
    centred: bool = True


def normalize(
    g: Groups, x: Array, scale: Array | None, bias: Array | None
) -> tuple[Array, Any, Array]:
    """y = x̂ · scale + bias, and of each group the mean (if centred) and the variance.

    On several devices these two are copies, one for each, whose cotangents are summed.
    """
    return _normalize(g, x, scale, bias)


def _normalize_value(
    g: Groups, x: Array, scale: Array | None, bias: Array | None, centre: Callable[..., Array]
) -> tuple[tuple[Array, Any, Array], tuple[Array, Any, Array]]:
    """The outputs, and x − mean, mean and r."""
    wide = x.astype(accumulator(x.dtype))
    mean = _mean(g, x, wide) if g.centred else None
    centred = centre(g, wide, mean)
    # Not E[x²] − E[x]², which for a large mean is a small difference of large numbers.
    var = _mean(g, x, centred * centred)
    rstd = lax.rsqrt(var + g.eps)
    y = _times(centred * _spread(g, x, rstd), _fit(g, x, scale))
    if bias is not None:
        y = y + _fit(g, x, bias)
    moments = (None if mean is None else _copy(g, x, mean), _copy(g, x, var))
    return (y.astype(x.dtype), *moments), (centred, mean, rstd)


def _normalize_forward(
    g: Groups, x: Any, scale: Any, bias: Any
) -> tuple[tuple[Array, Any, Array], Any]:
    x, scale, bias = x.value, *(None if p is None else p.value for p in (scale, bias))
    # XLA makes an array of x − mean, to sum its squares. Kept, it is all that the backward pass
    # needs of x, and what x was computed of can go. But in 16 bits x has half of its bytes.
    keep_centred = x.dtype == accumulator(x.dtype) and not _are_rows(g, x)
    centre = _centre_once if keep_centred else _centre
    outputs, (centred, mean, rstd) = _normalize_value(g, x, scale, bias, centre)
    kept = (centred, None) if keep_centred else (x, mean)
    return outputs, (*kept, rstd, scale, None if bias is None else ())


def _normalize_backward(
    g: Groups, residuals: Any, cotangents: tuple[Any, ...]
) -> tuple[Array, Array | None, Array | None]:
    *kept, scale, has_bias = residuals
    x, mean, rstd = _apart(kept)
    wide = x.astype(accumulator(x.dtype))
    dy, d_mean, d_var = (_cotangent(d, wide.dtype) for d in cotangents)
    if dy is None:
        _, dy = aligned(wide, jnp.zeros_like(wide))
    s = _fit(g, x, scale)
    sums = partial(_sums, g)
    if _are_rows(g, x):
        sums = partial(lax.platform_dependent, cpu=partial(_sums_of_rows, g), default=sums)
    total_hat, along_hat, total, along = sums(dy, wide, mean, rstd, s)

    share = 1 / _count(g, x)
    slope = rstd * _mean(g, x, along_hat)
    if d_var is not None:
        slope = slope - 2 * share * _of_all_devices(g, d_var) / rstd
    x_hat = _centre(g, wide, mean) * _spread(g, x, rstd)
    dx = _times(dy, s) * _spread(g, x, rstd) - x_hat * _spread(g, x, slope)
    if g.centred:
        level = rstd * _mean(g, x, total_hat)
        if d_mean is not None:
            level = level - share * _of_all_devices(g, d_mean)
        dx = dx - _spread(g, x, level)
    d_scale = None if scale is None else along.astype(scale.dtype)
    d_bias = None if has_bias is None else total.astype(x.dtype)
    return dx.astype(x.dtype), d_scale, d_bias


_normalize = Rule(
    _normalize_forward,
    _normalize_backward,
    static=1,
    value=lambda g, x, scale, bias: _normalize_value(g, x, scale, bias, _centre)[0],
    knows_wanted=True,
)


def _cotangent(d: Any, dtype: Any) -> Any:
    """In the dtype of the sums; None if nothing was made of that output."""
    nothing = d is None or isinstance(d, jax.custom_derivatives.SymbolicZero)
    return None if nothing else d.astype(dtype)


def _apart(kept: list[Any]) -> list[Any]:
    """What was kept; on a CPU with nothing computed together with the forward pass.

    In one program with it, XLA would keep its intermediates beside these, and read them from
    memory: layer norm's two passes take 13.5 ms then, for 12.0. On a GPU the same barrier gives
    wrong numbers (JAX 0.11.2): where a loop reads x from before it and from behind it, XLA takes
    them for two arrays, and writes y over the one while the sums of the other are not done.
    """
    by_platform = partial(
        lax.platform_dependent, cpu=lax.optimization_barrier, default=lambda array: array
    )
    # One by one: a barrier for all gives all of them the types of the one that varies most
    # over devices.
    return jax.tree.map(by_platform, kept)


Sums = tuple[Array, Array, Array, Array]


def _sums(g: Groups, dy: Array, x: Array, mean: Any, rstd: Array, s: Array | None) -> Sums:
    """Σ dy · s and Σ dy · s · x̂ over the axes of a group; Σ dy and Σ dy · x̂ for each of s."""
    # All are made of two sums, taken as far as s is constant in a group.
    alike = tuple(axis for axis in g.axes if axis not in g.affine)
    total = jnp.sum(dy, alike, keepdims=True)
    along = jnp.sum(dy * _centre(g, x, mean), alike, keepdims=True) * _spread(g, x, rstd)
    hats = [jnp.sum(_times(values, s), g.axes, keepdims=True) for values in (total, along)]
    others = tuple(axis for axis in range(x.ndim) if axis not in g.affine)
    return hats[0], hats[1], jnp.sum(total, others), jnp.sum(along, others)


def _are_rows(g: Groups, x: Array) -> bool:
    """Whether a group has the last axes of x, and s an element for each of its."""
    return g.axes == g.affine == tuple(range(x.ndim - len(g.axes), x.ndim)) != ()


def _sums_of_rows(g: Groups, dy: Array, x: Array, mean: Any, rstd: Array, s: Array | None) -> Sums:
    """The same, if `_are_rows`, two of them as products with a vector. With P = dy · x̂ and its rows

        Σⱼ dyᵢⱼ sⱼ = (dy s)ᵢ,        Σⱼ dyᵢⱼ sⱼ x̂ᵢⱼ = (P s)ᵢ

    For a sum of products XLA's CPU backend makes arrays of all factors, s repeated for each row
    among them. Here it makes P. (Sums of whole columns are none of products: in one chain of
    additions they lose six times as much.)
    """
    product = materialize_on_cpu(
        lambda dy, x, mean, r: dy * _centre(g, x, mean) * r, dy, x, mean, rstd
    )
    within = len(g.axes)
    weights = jnp.ones(x.shape[-within:], x.dtype) if s is None else s.reshape(x.shape[-within:])
    total_hat, along_hat = (
        jnp.expand_dims(
            jnp.tensordot(values, weights, within, precision=lax.Precision.HIGHEST), g.axes
        )
        for values in (dy, product)
    )
    rows = tuple(range(x.ndim - within))
    return total_hat, along_hat, jnp.sum(dy, rows), jnp.sum(product, rows)


def _count(g: Groups, x: Array) -> Any:
    """How many numbers a group has; 1 for none, whose sums are 0."""
    channels = 1 if g.channel_groups is None else x.shape[g.affine[0]] // g.channel_groups
    count = g.device_count * channels * math.prod(x.shape[axis] for axis in g.axes)
    return as_number(count, accumulator(x.dtype)) if at_least(count, 1) else 1


def _mean(g: Groups, x: Array, values: Array) -> Array:
    """The mean of each group; `values` is one for each of x, or its sums over some of `axes`."""
    # Channels last: to sum over space and a share of the channels at once, XLA's CPU backend
    # takes eight times as long as for one after the other.
    total = jnp.sum(values, g.axes, keepdims=True)
    if g.channel_groups is not None:
        total = jnp.sum(total.reshape(_split(g, x, total)), g.affine[0] + 1)
    if g.devices:
        total = lax.psum(total, g.devices)
    return total / _count(g, x)


def _spread(g: Groups, x: Array, statistic: Array) -> Array:
    """One number per group, shaped to broadcast against x."""
    if g.channel_groups is None:
        return statistic
    axis = g.affine[0]
    repeated = jnp.broadcast_to(jnp.expand_dims(statistic, axis + 1), _split(g, x, statistic))
    return repeated.reshape(*statistic.shape[:axis], x.shape[axis], *statistic.shape[axis + 1 :])


def _split(g: Groups, x: Array, like: Array) -> tuple[int, ...]:
    """The shape of `like` with the channel axis as two, groups and channels of a group."""
    groups, axis = g.channel_groups or 1, g.affine[0]
    return (*like.shape[:axis], groups, x.shape[axis] // groups, *like.shape[axis + 1 :])


def _centre(g: Groups, x: Array, mean: Array | None) -> Array:
    return x if mean is None else x - _spread(g, x, mean)


def _centre_once(g: Groups, x: Array, mean: Array | None) -> Array:
    """The same as one array, which forward and backward pass read."""
    return x if mean is None else materialize_on_cpu(partial(_centre, g), x, mean)


def _fit(g: Groups, x: Array, factor: Array | None) -> Any:
    """Scale or bias, in the dtype of the sums, shaped to broadcast against x."""
    if factor is None:
        return None
    shape = (x.shape[axis] if axis in g.affine else 1 for axis in range(x.ndim))
    return factor.astype(accumulator(x.dtype)).reshape(tuple(shape))


def _times(values: Array, factor: Array | None) -> Array:
    return values if factor is None else values * factor


def _copy(g: Groups, x: Array, statistic: Array) -> Array:
    """The statistic in the dtype of x, as something that every device has for itself.

    Otherwise its cotangent would be a sum over the devices under some transformations (`vmap`
    of a name, `shard_map` that keeps account of what varies) and a device's own under others.
    """
    if g.devices:
        own = lax.axis_index(g.devices)
        statistic = statistic + (0 * own).astype(statistic.dtype)
    return statistic.astype(x.dtype)


def _of_all_devices(g: Groups, cotangent: Any) -> Any:
    return lax.psum(cotangent, g.devices) if g.devices else cotangent
