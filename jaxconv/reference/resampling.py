"""Reference implementations of the resampling ops, differentiated by JAX."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv._core.arguments import (
    IntOrInts,
    Layout,
    Padding,
    ResizeMethod,
    UpsampleMethod,
    accumulator,
    per_dimension,
)
from jaxconv._core.geometry import Windows, make_windows, spatial_axes, windows_over
from jaxconv._core.shapes import Shaped

__all__ = ["fold", "pixel_shuffle", "pixel_unshuffle", "resize", "unfold", "upsample"]


def unfold(
    x: Shaped[Array, "N *spatial C"],
    window: IntOrInts,
    *,
    stride: IntOrInts = 1,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N L ΠK·C"]:
    """See `jaxconv.unfold`."""
    g = make_windows(
        "unfold", x, window, stride=stride, padding=padding, dilation=dilation,
        ceil_mode=False, layout=layout,
    )  # fmt: skip
    images = jnp.moveaxis(x, g.channel_axis, 1)
    images = jnp.pad(images, ((0, 0), (0, 0), *g.padding))
    patches = jnp.stack([images[(..., *slices)] for slices in _slices(g)])  # (a, N, C, *i)
    offsets, n, c = patches.shape[:3]
    positions = math.prod(g.output)
    patches = patches.reshape(offsets, n, c, positions)
    if layout == "channels_last":
        return jnp.einsum("ancl->nlac", patches).reshape(n, positions, offsets * c)
    return jnp.einsum("ancl->ncal", patches).reshape(n, c * offsets, positions)


def fold(
    x: Shaped[Array, "N L ΠK·C"],
    output_size: IntOrInts,
    window: IntOrInts,
    *,
    stride: IntOrInts = 1,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *output_size C"]:
    """See `jaxconv.fold`."""
    size = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,)
    g = windows_over(
        "fold", size, window, stride=stride, padding=padding, dilation=dilation,
        ceil_mode=False, layout=layout,
    )  # fmt: skip
    wide, n, offsets = x.astype(accumulator(x.dtype)), x.shape[0], math.prod(g.window)
    if layout == "channels_last":
        c = x.shape[2] // offsets
        patches = jnp.einsum("nlac->ancl", wide.reshape(n, x.shape[1], offsets, c))
    else:
        c = x.shape[1] // offsets
        patches = jnp.einsum("ncal->ancl", wide.reshape(n, c, offsets, x.shape[2]))
    padded = [low + m + high for m, (low, high) in zip(size, g.padding, strict=True)]
    images = jnp.zeros((n, c, *padded), wide.dtype)
    for patch, slices in zip(patches, _slices(g), strict=True):
        images = images.at[(..., *slices)].add(patch.reshape(n, c, *g.output))
    kept = tuple(slice(low, low + m) for m, (low, _) in zip(size, g.padding, strict=True))
    return jnp.moveaxis(images[(..., *kept)], 1, g.channel_axis).astype(x.dtype)


def upsample(
    x: Shaped[Array, "N *spatial C"],
    factor: IntOrInts,
    *,
    method: UpsampleMethod = "nearest",
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial_out C"]:
    """See `jaxconv.upsample`."""
    axes, _ = spatial_axes(x.ndim - 2, layout)
    factors = per_dimension("upsample", "factor", factor, len(axes), 1)
    if method == "nearest":
        for axis, r in zip(axes, factors, strict=True):
            x = jnp.repeat(x, r, axis=axis)
        return x
    size = [x.shape[axis] * r for axis, r in zip(axes, factors, strict=True)]
    return resize(x, size, method=method, layout=layout)


def resize(
    x: Shaped[Array, "N *spatial C"],
    size: IntOrInts,
    *,
    method: ResizeMethod = "nearest",
    align_corners: bool = False,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *size C"]:
    """See `jaxconv.resize`."""
    axes, _ = spatial_axes(x.ndim - 2, layout)
    sizes = per_dimension("resize", "size", size, len(axes), 1)
    y = x.astype(accumulator(x.dtype))
    for axis, o in zip(axes, sizes, strict=True):
        n, i = x.shape[axis], np.arange(o)
        if method == "nearest":
            y = jnp.take(y, (2 * i + 1) * n // (2 * o), axis=axis)
            continue
        if method == "nearest_floor":
            y = jnp.take(y, i * n // o, axis=axis)
            continue
        place = i * (n - 1) / max(o - 1, 1) if align_corners else (i + 0.5) * n / o - 0.5
        place = np.clip(place, 0, n - 1)
        # They are neighbours, or equal if `place` is whole; then only `before` counts.
        before, after = np.floor(place).astype(int), np.ceil(place).astype(int)
        t = jnp.asarray(place - before, y.dtype)
        t = jnp.expand_dims(t, [a for a in range(x.ndim) if a != axis])
        near, far = jnp.take(y, before, axis=axis), jnp.take(y, after, axis=axis)
        y = (1 - t) * near + jnp.where(t == 0, 0, t * far)
    return y.astype(x.dtype)


def pixel_shuffle(
    x: Shaped[Array, "N *spatial C·Πr"], factor: IntOrInts, *, layout: Layout = "channels_last"
) -> Shaped[Array, "N *spatial_out C"]:
    """See `jaxconv.pixel_shuffle`."""
    axes, channel_axis = spatial_axes(x.ndim - 2, layout)
    factors = per_dimension("pixel_shuffle", "factor", factor, len(axes), 1)
    images = jnp.moveaxis(x, channel_axis, 1)
    large = [m * r for m, r in zip(images.shape[2:], factors, strict=True)]
    channels = images.shape[1] // math.prod(factors)
    channel, *q = np.ogrid[tuple(slice(m) for m in (channels, *large))]
    for position, r in zip(q, factors, strict=True):
        channel = channel * r + position % r
    sources = (position // r for position, r in zip(q, factors, strict=True))
    return jnp.moveaxis(images[(slice(None), channel, *sources)], 1, channel_axis)


def pixel_unshuffle(
    x: Shaped[Array, "N *spatial C"], factor: IntOrInts, *, layout: Layout = "channels_last"
) -> Shaped[Array, "N *spatial_out C·Πr"]:
    """See `jaxconv.pixel_unshuffle`."""
    axes, channel_axis = spatial_axes(x.ndim - 2, layout)
    factors = per_dimension("pixel_unshuffle", "factor", factor, len(axes), 1)
    images = jnp.moveaxis(x, channel_axis, 1)
    every = [
        images[(..., *(slice(start, None, r) for start, r in zip(a, factors, strict=True)))]
        for a in np.ndindex(*factors)
    ]
    tiles = jnp.stack(every, axis=2)  # (N, C, a, *p)
    merged = tiles.reshape(x.shape[0], images.shape[1] * math.prod(factors), *tiles.shape[3:])
    return jnp.moveaxis(merged, 1, channel_axis)


def _slices(g: Windows) -> list[tuple[slice, ...]]:
    """Return, for each offset of the window, its positions in the padded input, as slices."""
    return [
        tuple(
            slice(d * start, d * start + s * (o - 1) + 1, s)
            for start, s, d, o in zip(a, g.stride, g.dilation, g.output, strict=True)
        )
        for a in np.ndindex(*g.window)
    ]
