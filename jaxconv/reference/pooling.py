"""The twins of the pooling ops: the same functions, differentiated by JAX."""

import math

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv.arguments import IntOrInts, Layout, Padding, Ties, accumulator
from jaxconv.geometry import Windows, make_windows


def max_pool(
    x: Array,
    window: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    ties: Ties = "first",
    layout: Layout = "channels_last",
) -> Array:
    """See `jaxconv.max_pool`."""
    g = make_windows(
        "max_pool", x, window, stride=stride, padding=padding, dilation=dilation,
        ceil_mode=ceil_mode, layout=layout,
    )  # fmt: skip
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    lowest = -jnp.inf if floating else jnp.iinfo(x.dtype).min
    if ties == "first" and set(g.dilation) == {1}:
        return lax.reduce_window(
            x,
            np.asarray(lowest, x.dtype),
            lax.max,
            g.on_axes(g.window, 1),
            g.on_axes(g.stride, 1),
            g.on_axes(_full_padding(g), (0, 0)),
        )
    # JAX cannot differentiate a dilated window's maximum, nor let every tie have it all:
    # lay the window out as an axis of its own.
    patches = _patches(g, x, lowest)
    if ties == "split" or not floating:
        return jnp.max(patches, axis=-1)  # JAX splits among ties
    if ties == "first":
        winner = jnp.argmax(patches, axis=-1, keepdims=True)
        return jnp.take_along_axis(patches, winner, axis=-1)[..., 0]
    largest = lax.stop_gradient(jnp.max(patches, axis=-1, keepdims=True))
    nudges = jnp.where(patches == largest, patches - lax.stop_gradient(patches), 0)  # of value 0
    return largest[..., 0] + jnp.sum(nudges, axis=-1)


def avg_pool(
    x: Array,
    window: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: float | None = None,
    layout: Layout = "channels_last",
) -> Array:
    """See `jaxconv.avg_pool`."""
    g = make_windows(
        "avg_pool", x, window, stride=stride, padding=padding, dilation=1,
        ceil_mode=ceil_mode, layout=layout,
    )  # fmt: skip
    wide = x.astype(accumulator(x.dtype))
    full = _full_padding(g)
    total = _window_sum(g, jnp.pad(wide, g.on_axes(full, (0, 0))))
    if divisor is not None:
        return (total / divisor).astype(x.dtype)
    # Count by pooling ones over what counts, laid among zeros for what does not.
    counts = jnp.pad(
        jnp.ones(g.on_axes(g.size, 1), wide.dtype),
        g.on_axes(g.padding, (0, 0)),
        constant_values=count_include_pad,
    )
    overhang = [
        (0, all_high - high) for (_, all_high), (_, high) in zip(full, g.padding, strict=True)
    ]
    count = _window_sum(g, jnp.pad(counts, g.on_axes(overhang, (0, 0))))
    return (total / jnp.maximum(count, 1)).astype(x.dtype)


def _full_padding(g: Windows) -> list[tuple[int, int]]:
    """The padding, and what a last window of `ceil_mode` hangs over it."""
    return [
        (low, max(high, reach - n - low))
        for (low, high), reach, n in zip(g.padding, g.reach, g.size, strict=True)
    ]


def _window_sum(g: Windows, x: Array) -> Array:
    zero, window, stride = np.zeros((), x.dtype), g.on_axes(g.window, 1), g.on_axes(g.stride, 1)
    return lax.reduce_window(x, zero, lax.add, window, stride, "VALID")


def _patches(g: Windows, x: Array, fill: float) -> Array:
    """y's shape with a last axis over the window, in row-major order."""
    x = jnp.pad(x, g.on_axes(_full_padding(g), (0, 0)), constant_values=fill)
    for axis, k, s, d, o in zip(
        g.spatial_axes, g.window, g.stride, g.dilation, g.output, strict=True
    ):
        positions = s * np.arange(o)[:, None] + d * np.arange(k)
        x = jnp.moveaxis(jnp.take(x, positions, axis=axis), axis + 1, -1)
    return x.reshape(*x.shape[: g.dims + 2], math.prod(g.window))
