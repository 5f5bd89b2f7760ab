"""One rule for all ops that normalize x by statistics of x itself."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import DType, accumulator
from jaxconv._core.barriers import materialize_on_cpu
from jaxconv._core.rule import Rule
from jaxconv._core.symbolic import as_number, at_least

Residuals = tuple[Array, Array | None, Array, Array | None, tuple[()] | None]
"""x or x − mean, mean, r, scale, and () if there is a bias."""

Cotangent = Array | jax.custom_derivatives.SymbolicZero | None


@dataclass(frozen=True)
class Groups:
    """The groups of numbers in x that are normalized together, and the other static arguments.

    Attributes:
        axes: the axes of x along which a group takes up the whole size.
        affine: the axes of x that scale and bias have.
        eps: a number added to the variance.
        channel_groups: if not None, the number of equal shares into which the channels are
            divided, along the axis `affine[0]`; a group takes up one of them.
        devices: the mapped axes over whose devices a group extends.
        device_count: the number of these devices.
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
    """Return y = x̂ · scale + bias, and the mean (if centred) and the variance of each group.

    On several devices, each one gets its own copy of the mean and the variance, and the backward
    pass sums the cotangents of the copies.
    """
    return _normalize(g, x, scale, bias)


def _normalize_value(
    g: Groups, x: Array, scale: Array | None, bias: Array | None, centre: Callable[..., Array]
) -> tuple[tuple[Array, Array | None, Array], tuple[Array, Array | None, Array]]:
    """Return the outputs of `normalize`, and x − mean, mean and r."""
    wide = x.astype(accumulator(x.dtype))
    mean = _mean(g, x, wide) if g.centred else None
    centred = centre(g, wide, mean)
    # E[x²] − E[x]² would be a small difference of large numbers if the mean is large.
    var = _mean(g, x, centred * centred)
    rstd = lax.rsqrt(var + g.eps)
    y = _times(centred * _spread(g, x, rstd), _fit(g, x, scale))
    if bias is not None:
        y = y + _fit(g, x, bias)
    moments = (None if mean is None else _copy(g, x, mean), _copy(g, x, var))
    return (y.astype(x.dtype), *moments), (centred, mean, rstd)


def _normalize_forward(
    g: Groups, x: Any, scale: Any, bias: Any
) -> tuple[tuple[Array, Array | None, Array], Residuals]:
    x, scale, bias = x.value, *(None if p is None else p.value for p in (scale, bias))
    # XLA stores x − mean anyway, to sum its squares. If that is kept, the backward pass needs
    # neither x nor what x was computed from. A 16-bit x is kept itself: it has half the bytes.
    keep_centred = x.dtype == accumulator(x.dtype) and not _are_rows(g, x)
    centre = _centre_once if keep_centred else _centre
    outputs, (centred, mean, rstd) = _normalize_value(g, x, scale, bias, centre)
    kept = (centred, None) if keep_centred else (x, mean)
    return outputs, (*kept, rstd, scale, None if bias is None else ())


def _normalize_backward(
    g: Groups, residuals: Residuals, cotangents: tuple[Cotangent, ...]
) -> tuple[Array, Array | None, Array | None]:
    *kept, scale, has_bias = residuals
    x, mean, rstd = _apart(kept)
    wide = x.astype(accumulator(x.dtype))
    dy, d_mean, d_var = (_cotangent(d, wide.dtype) for d in cotangents)
    if dy is None:
        # Zeros that depend on x vary over its mapped axes; JAX 0.10 raises an error for others.
        dy = jnp.where(jnp.isnan(wide), jnp.zeros_like(wide), 0)
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
    name="a normalization",
)


def _cotangent(d: Cotangent, dtype: DType) -> Array | None:
    """Return a cotangent in the dtype of the sums; None if that output was not used."""
    if d is None or isinstance(d, jax.custom_derivatives.SymbolicZero):
        return None
    return d.astype(dtype)


def _apart(kept: list[Any]) -> list[Any]:
    """Return the residuals, on a CPU behind a barrier that separates the two passes.

    Without it, in one program, XLA would store intermediates of the forward pass beside the
    residuals and read them from memory: layer norm's two passes take 13.5 ms instead of 12.0 ms.
    On a GPU the same barrier gives wrong numbers (JAX 0.11.2): where a loop reads x from before
    and from behind the barrier, XLA takes these for two arrays, and writes y over one of them
    before the sums over the other are complete.
    """
    by_platform = partial(
        lax.platform_dependent, cpu=lax.optimization_barrier, default=lambda array: array
    )
    # Each residual gets its own barrier: a common one would give all of them the type of the one
    # that varies over the most mapped axes.
    return jax.tree.map(by_platform, kept)


Sums = tuple[Array, Array, Array, Array]


def _sums(g: Groups, dy: Array, x: Array, mean: Array | None, rstd: Array, s: Array | None) -> Sums:
    """Return Σ dy·s and Σ dy·s·x̂ for each group, and Σ dy and Σ dy·x̂ for each element of s."""
    # All four continue the same two sums, over the axes of a group along which s is constant.
    alike = tuple(axis for axis in g.axes if axis not in g.affine)
    total = jnp.sum(dy, alike, keepdims=True)
    along = jnp.sum(dy * _centre(g, x, mean), alike, keepdims=True) * _spread(g, x, rstd)
    hats = [jnp.sum(_times(values, s), g.axes, keepdims=True) for values in (total, along)]
    others = tuple(axis for axis in range(x.ndim) if axis not in g.affine)
    return hats[0], hats[1], jnp.sum(total, others), jnp.sum(along, others)


def _are_rows(g: Groups, x: Array) -> bool:
    """Return whether a group takes up the last axes of x, and s has exactly these axes."""
    return g.axes == g.affine == tuple(range(x.ndim - len(g.axes), x.ndim)) != ()


def _sums_of_rows(
    g: Groups, dy: Array, x: Array, mean: Array | None, rstd: Array, s: Array | None
) -> Sums:
    """Return the sums of `_sums`, if `_are_rows`; two are products with a vector. With P = dy · x̂:

        Σⱼ dyᵢⱼ sⱼ = (dy s)ᵢ,        Σⱼ dyᵢⱼ sⱼ x̂ᵢⱼ = (P s)ᵢ

    For a sum of products XLA's CPU backend would store all factors as arrays, including s
    repeated for each row; here it stores only P. (The sums of columns are not products with a
    vector, which would add up each column in one chain, with six times the rounding error.)
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


def _count(g: Groups, x: Array) -> int | Array:
    """Return how many numbers a group has; 1 for an empty group, whose sums are 0."""
    channels = 1 if g.channel_groups is None else x.shape[g.affine[0]] // g.channel_groups
    count = g.device_count * channels * math.prod(x.shape[axis] for axis in g.axes)
    return as_number(count, accumulator(x.dtype)) if at_least(count, 1) else 1


def _mean(g: Groups, x: Array, values: Array) -> Array:
    """Return each group's mean of `values`, which may already be summed over some of `axes`."""
    # With channels last, XLA's CPU backend takes eight times as long to sum over space and a share
    # of the channels at once as to sum over one after the other.
    total = jnp.sum(values, g.axes, keepdims=True)
    if g.channel_groups is not None:
        total = jnp.sum(total.reshape(_split(g, x, total)), g.affine[0] + 1)
    if g.devices:
        total = lax.psum(total, g.devices)
    return total / _count(g, x)


def _spread(g: Groups, x: Array, statistic: Array) -> Array:
    """Shape one number per group to broadcast against x."""
    if g.channel_groups is None:
        return statistic
    axis = g.affine[0]
    repeated = jnp.broadcast_to(jnp.expand_dims(statistic, axis + 1), _split(g, x, statistic))
    return repeated.reshape(*statistic.shape[:axis], x.shape[axis], *statistic.shape[axis + 1 :])


def _split(g: Groups, x: Array, like: Array) -> tuple[int, ...]:
    """Return the shape of `like` with the channel axis split into groups and their channels."""
    groups, axis = g.channel_groups or 1, g.affine[0]
    return (*like.shape[:axis], groups, x.shape[axis] // groups, *like.shape[axis + 1 :])


def _centre(g: Groups, x: Array, mean: Array | None) -> Array:
    return x if mean is None else x - _spread(g, x, mean)


def _centre_once(g: Groups, x: Array, mean: Array | None) -> Array:
    """Return x − mean as an array in memory, which the forward and the backward pass read."""
    return x if mean is None else materialize_on_cpu(partial(_centre, g), x, mean)


def _fit(g: Groups, x: Array, factor: Array | None) -> Any:
    """Return scale or bias in the dtype of the sums, shaped to broadcast against x."""
    if factor is None:
        return None
    shape = (x.shape[axis] if axis in g.affine else 1 for axis in range(x.ndim))
    return factor.astype(accumulator(x.dtype)).reshape(tuple(shape))


def _times(values: Array, factor: Array | None) -> Array:
    return values if factor is None else values * factor


def _copy(g: Groups, x: Array, statistic: Array) -> Array:
    """Return the statistic in the dtype of x, as a value of which each device has its own copy.

    Otherwise its cotangent would be a sum over the devices under some transformations (`vmap`
    with a name, `shard_map` that tracks which values vary) and the device's own under others.
    """
    if g.devices:
        own = lax.axis_index(g.devices)
        statistic = statistic + (0 * own).astype(statistic.dtype)
    return statistic.astype(x.dtype)


def _of_all_devices(g: Groups, cotangent: Array) -> Array:
    return lax.psum(cotangent, g.devices) if g.devices else cotangent
