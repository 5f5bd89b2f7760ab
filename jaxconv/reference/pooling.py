"""Reference implementations of the pooling ops, differentiated by JAX."""

import math
import operator
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv._core.arguments import (
    IntOrInts,
    Layout,
    Padding,
    Ties,
    accumulator,
    per_channel,
    per_dimension,
)
from jaxconv._core.geometry import Windows, make_windows, spatial_axes
from jaxconv._core.shapes import Shaped

__all__ = [
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "avg_pool",
    "global_avg_pool",
    "global_max_pool",
    "lp_pool",
    "max_pool",
    "max_pool_with_indices",
    "max_unpool",
    "min_pool",
    "subsample",
]


def max_pool(
    x: Shaped[Array, "N *spatial C"],
    window: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    ties: Ties = "first",
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial_out C"]:
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
    # JAX cannot differentiate the maximum of a dilated window, nor give the whole gradient to every
    # tied element. So the window becomes an axis of its own.
    patches = _patches(g, x, lowest)
    if ties == "split" or not floating:
        return jnp.max(patches, axis=-1)  # JAX splits the gradient among ties
    if ties == "first":
        winner = jnp.argmax(patches, axis=-1, keepdims=True)
        return jnp.take_along_axis(patches, winner, axis=-1)[..., 0]
    largest = lax.stop_gradient(jnp.max(patches, axis=-1, keepdims=True))
    tied = (patches == largest) | jnp.isnan(patches)
    # The sum of all tied elements has the right gradient. A finite sum is too large by count − 1
    # times the maximum, which is subtracted as a constant.
    finite = jnp.where(jnp.isfinite(largest), largest, 0)[..., 0]
    excess = (jnp.sum(tied, axis=-1) - 1).astype(x.dtype) * finite
    return jnp.sum(jnp.where(tied, patches, 0), axis=-1) - excess


def min_pool(
    x: Shaped[Array, "N *spatial C"],
    window: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    ties: Ties = "first",
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial_out C"]:
    """See `jaxconv.min_pool`."""
    # Inverting all bits reverses the order of signed and of unsigned integers.
    turned = operator.neg if jnp.issubdtype(x.dtype, jnp.floating) else operator.invert
    largest = max_pool(
        turned(x), window, stride=stride, padding=padding, dilation=dilation,
        ceil_mode=ceil_mode, ties=ties, layout=layout,
    )  # fmt: skip
    return turned(largest)


def max_pool_with_indices(
    x: Shaped[Array, "N *spatial C"],
    window: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    layout: Layout = "channels_last",
) -> tuple[Shaped[Array, "N *spatial_out C"], Shaped[Array, "N *spatial_out C"]]:
    """See `jaxconv.max_pool_with_indices`."""
    g = make_windows(
        "max_pool_with_indices", x, window, stride=stride, padding=padding, dilation=dilation,
        ceil_mode=ceil_mode, layout=layout,
    )  # fmt: skip
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    patches = _patches(g, x, -jnp.inf if floating else jnp.iinfo(x.dtype).min)
    numbers = np.arange(math.prod(g.size), dtype=np.int32).reshape(g.on_axes(g.size, 1))
    positions = jnp.broadcast_to(_patches(g, jnp.asarray(numbers), -1), patches.shape)
    largest = jnp.max(patches, axis=-1, keepdims=True)
    tied = ((patches == largest) | jnp.isnan(patches)) & (positions >= 0)
    winner = jnp.argmax(tied, axis=-1, keepdims=True)
    y, indices = (jnp.take_along_axis(p, winner, axis=-1)[..., 0] for p in (patches, positions))
    return y, indices


def max_unpool(
    y: Shaped[Array, "N *spatial C"],
    indices: Shaped[Array, "N *spatial C"],
    output_size: IntOrInts,
    *,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *output_size C"]:
    """See `jaxconv.max_unpool`."""
    axes, _ = spatial_axes(y.ndim - 2, layout)
    size = per_dimension("max_unpool", "output_size", output_size, len(axes), 1)
    positions = math.prod(size)
    values = _lines(y.astype(accumulator(y.dtype)), axes)
    places = _lines(indices, axes).astype(jnp.int32)
    places = jnp.where(places < 0, positions, places)
    n, _, c = values.shape
    example, channel = np.arange(n)[:, None, None], np.arange(c)
    x = jnp.zeros((n, positions, c), values.dtype)
    x = x.at[example, places, channel].add(values, mode="drop").astype(y.dtype)
    return x.reshape(n, *size, c) if axes[0] == 1 else x.mT.reshape(n, c, *size)


def avg_pool(
    x: Shaped[Array, "N *spatial C"],
    window: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: float | None = None,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial_out C"]:
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
    # Count by pooling ones where a position counts and zeros where it does not.
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


def lp_pool(
    x: Shaped[Array, "N *spatial C"],
    window: IntOrInts,
    p: float,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial_out C"]:
    """See `jaxconv.lp_pool`."""
    g = make_windows(
        "lp_pool", x, window, stride=stride, padding=padding, dilation=1,
        ceil_mode=ceil_mode, layout=layout,
    )  # fmt: skip
    wide = x.astype(accumulator(x.dtype))

    def power(x: Array, q: float) -> Array:  # with the slope 0 at 0
        return jnp.where(x == 0, 0, jnp.abs(jnp.where(x == 0, 1, x)) ** q)

    powers = jnp.pad(power(wide, p), g.on_axes(_full_padding(g), (0, 0)))
    return power(_window_sum(g, powers), 1 / p).astype(x.dtype)


def subsample(
    x: Shaped[Array, "N *spatial C"],
    weight: Shaped[Array, "C"],
    bias: Shaped[Array, "C"],
    window: IntOrInts,
    *,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial_out C"]:
    """See `jaxconv.subsample`."""
    total = avg_pool(x.astype(accumulator(x.dtype)), window, divisor=1, layout=layout)
    if layout == "channels_first":
        total = jnp.moveaxis(total, 1, -1)
    weight, bias = (per_channel(a, total, total.ndim - 1) for a in (weight, bias))
    y = (weight * total + bias).astype(x.dtype)
    return jnp.moveaxis(y, -1, 1) if layout == "channels_first" else y


def global_avg_pool(
    x: Shaped[Array, "N *spatial C"], *, keepdims: bool = False, layout: Layout = "channels_last"
) -> Shaped[Array, "N C"] | Shaped[Array, "N *#spatial C"]:
    """See `jaxconv.global_avg_pool`."""
    axes, _ = spatial_axes(x.ndim - 2, layout)
    return jnp.mean(x, axes, dtype=accumulator(x.dtype), keepdims=keepdims).astype(x.dtype)


def global_max_pool(
    x: Shaped[Array, "N *spatial C"], *, keepdims: bool = False, layout: Layout = "channels_last"
) -> Shaped[Array, "N C"] | Shaped[Array, "N *#spatial C"]:
    """See `jaxconv.global_max_pool`."""
    axes, _ = spatial_axes(x.ndim - 2, layout)
    lines = _lines(x, axes)
    y = jnp.take_along_axis(lines, jnp.argmax(lines, 1, keepdims=True), axis=1)[:, 0]
    return jnp.expand_dims(y, axes) if keepdims else y


def adaptive_avg_pool(
    x: Shaped[Array, "N *spatial C"], output_size: IntOrInts, *, layout: Layout = "channels_last"
) -> Shaped[Array, "N *output_size C"]:
    """See `jaxconv.adaptive_avg_pool`."""
    wide = x.astype(accumulator(x.dtype))
    patches, seen, back = _adaptive_patches(wide, output_size, layout)
    total = jnp.sum(jnp.where(seen, patches, 0), axis=2)
    return back(total / np.sum(seen, axis=2).astype(total.dtype)).astype(x.dtype)


def adaptive_max_pool(
    x: Shaped[Array, "N *spatial C"], output_size: IntOrInts, *, layout: Layout = "channels_last"
) -> Shaped[Array, "N *output_size C"]:
    """See `jaxconv.adaptive_max_pool`."""
    patches, seen, back = _adaptive_patches(x, output_size, layout)
    lowest = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
    patches = jnp.where(seen, patches, lowest)
    winner = jnp.argmax(patches, axis=2, keepdims=True)
    return back(jnp.take_along_axis(patches, winner, axis=2)[:, :, 0])


def _adaptive_patches(
    x: Array, output_size: IntOrInts, layout: Layout
) -> tuple[Array, np.ndarray, Callable[[Array], Array]]:
    """Return (N, windows, positions, C), which positions count, and a function to y's shape."""
    axes, _ = spatial_axes(x.ndim - 2, layout)
    output = per_dimension("adaptive", "output_size", output_size, len(axes), 1)
    size = tuple(x.shape[axis] for axis in axes)
    numbers = np.arange(math.prod(size)).reshape(size)
    windows = []
    for i in np.ndindex(output):
        bounds = zip(i, size, output, strict=True)
        box = tuple(slice(i * n // o, -(-(i + 1) * n // o)) for i, n, o in bounds)
        windows.append(numbers[box].ravel())
    longest = max(len(w) for w in windows)
    table = np.stack([np.resize(w, longest) for w in windows])  # shorter ones repeat
    seen = np.stack([np.arange(longest) < len(w) for w in windows])[None, :, :, None]

    def back(y: Array) -> Array:
        if layout == "channels_first":
            y = y.mT
            return y.reshape(*y.shape[:2], *output)
        return y.reshape(y.shape[0], *output, y.shape[2])

    return jnp.take(_lines(x, axes), table, axis=1), seen, back


def _lines(x: Array, axes: tuple[int, ...]) -> Array:
    """Return x as (N, positions, C), whatever the layout."""
    if axes[0] == 2:
        x = jnp.moveaxis(x, 1, -1)
    return x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])


def _full_padding(g: Windows) -> list[tuple[int, int]]:
    """Return the padding, enlarged if a last window of `ceil_mode` ends beyond it."""
    return [
        (low, max(high, reach - n - low))
        for (low, high), reach, n in zip(g.padding, g.reach, g.size, strict=True)
    ]


def _window_sum(g: Windows, x: Array) -> Array:
    zero, window, stride = np.zeros((), x.dtype), g.on_axes(g.window, 1), g.on_axes(g.stride, 1)
    return lax.reduce_window(x, zero, lax.add, window, stride, "VALID")


def _patches(g: Windows, x: Array, fill: float) -> Array:
    """Return the windows in the shape of y, with a last axis over a window in row-major order."""
    x = jnp.pad(x, g.on_axes(_full_padding(g), (0, 0)), constant_values=fill)
    for axis, k, s, d, o in zip(
        g.spatial_axes, g.window, g.stride, g.dilation, g.output, strict=True
    ):
        positions = s * np.arange(o)[:, None] + d * np.arange(k)
        x = jnp.moveaxis(jnp.take(x, positions, axis=axis), axis + 1, -1)
    return x.reshape(*x.shape[: g.dims + 2], math.prod(g.window))
