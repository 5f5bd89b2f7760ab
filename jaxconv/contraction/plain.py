"""The contractions as one `lax.conv_general_dilated` each.

`lax.conv_general_dilated` is a correlation with holes on either side: over an input
whose neighbours are `lhs_dilation` apart it slides a kernel whose neighbours are
`rhs_dilation` apart, `window_strides` at a time. All three contractions fit that mould;
each docstring says which of its numbers plays which part. An input that is itself spread, e
apart (`spread`, for `conv_general_dilated`), keeps its place: only every e-th dx is asked for.
"""

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.arguments import accumulator
from jaxconv.geometry import ConvGeometry


def correlate(g: ConvGeometry, x: Array, w: Array, sharding: Any = None) -> Array:
    """y[n, i, k] = Σ_{a,c} x[n, s·i + d·a − low, c] · w[a, c, k].

    The mould itself: windows move by s, their elements are d apart.
    """
    # The padding that was asked for, and not what the last window needs of it: cuDNN takes equal
    # padding alone, of another XLA makes a copy. 3×3 with stride 2 and padding 1, 1024×32×32×64,
    # which needs a row less below than above, on an H100: 0.17 ms, and with a copy 0.37.
    return _convolve(
        g, x, w, window_strides=g.stride, padding=g.padding, lhs_dilation=g.spread,
        rhs_dilation=g.dilation, feature_group_count=g.groups, out_sharding=sharding,
    )  # fmt: skip


def input_gradient(g: ConvGeometry, w: Array, dy: Array, sharding: Any = None) -> Array:
    """dx[n, p, c] = Σ_{i,a,k : s·i + d·a − low = p} dy[n, i, k] · w[a, c, k].

    Solve for the position in dy: s·i = p + low − d·a. With dy spread s apart (zeros
    between), and the kernel read backwards, a = K−1−a',

        dx[p] = Σ_{a'} dy_spread[p − (d·(K−1) − low) + d·a'] · w[K−1−a'],

    a correlation of stride 1 and padding d·(K−1) − low with rot180(w), whose input and
    output channels have changed places. The high padding is whatever gives n positions.
    """
    padding = []
    for n, o, s, span, (low, _) in zip(
        g.size, g.output, g.stride, g.extent, g.padding, strict=True
    ):
        before = span - 1 - low
        spread = s * (o - 1) + 1
        padding.append((before, n + span - 1 - before - spread))
    return _convolve(
        g, dy, rot180(g, swap_channels(g, w)), window_strides=g.spread or (1,) * g.dims,
        padding=padding, lhs_dilation=g.stride, rhs_dilation=g.dilation,
        feature_group_count=g.groups, out_sharding=sharding,
    )  # fmt: skip


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array, sharding: Any = None) -> Array:
    """dw[a, c, k] = Σ_{n,i} x[n, s·i + d·a − low, c] · dy[n, i, k].

    Here a is what is left and i what is summed, so they change parts: windows of dy
    with its elements s apart move over x by d. The batch is summed and the channels are
    left, so they change parts too: x is read as C images of N channels, dy as a kernel
    from N channels to O. (With groups, each group of images sees its own part of dy.)
    """
    padding = []
    for n, o, k, s, d, (low, _) in zip(
        g.size, g.output, g.window, g.stride, g.dilation, g.padding, strict=True
    ):
        reach = d * (k - 1) + s * (o - 1) + 1
        padding.append((low, reach - n - low))
    images, kernels = _specs(g)
    exchanged = lax.ConvDimensionNumbers(
        lhs_spec=(images[1], images[0], *images[2:]),
        rhs_spec=(images[1], images[0], *images[2:]),
        out_spec=(kernels[1], kernels[0], *kernels[2:]),
    )
    return _convolve(
        g, x, dy, window_strides=g.dilation, padding=padding, lhs_dilation=g.spread,
        rhs_dilation=g.stride, batch_group_count=g.groups, dimension_numbers=exchanged,
        out_sharding=sharding,
    )  # fmt: skip


def _convolve(
    g: ConvGeometry,
    lhs: Array,
    rhs: Array,
    *,
    dimension_numbers: lax.ConvDimensionNumbers | None = None,
    **numbers: Any,
) -> Array:
    """`lax.conv_general_dilated` in the geometry's layout; 16-bit floats give a float32 sum."""
    if dimension_numbers is None:
        images, kernels = _specs(g)
        dimension_numbers = lax.ConvDimensionNumbers(images, kernels, images)
    return lax.conv_general_dilated(
        lhs,
        rhs,
        **numbers,
        dimension_numbers=dimension_numbers,
        precision=g.precision,
        preferred_element_type=accumulator(lhs.dtype),
    )


def rot180(g: ConvGeometry, w: Array) -> Array:
    """The kernel read backwards along every spatial dimension."""
    return lax.rev(w, _specs(g)[1][2:])


def _specs(g: ConvGeometry) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of images (N, C, *spatial) and kernels (C_out, C_in, *window), in lax's order."""
    images = (0, g.channel_axis, *g.spatial_axes)
    last = g.dims + 1
    kernels = (last, last - 1, *range(g.dims)) if g.layout == "channels_last" else images
    return images, kernels


def swap_channels(g: ConvGeometry, w: Array) -> Array:
    """The kernel of the way back: input and output channels exchanged within each group."""
    if g.layout == "channels_last":
        *window, c_in, c_out = w.shape
        grouped = w.reshape(*window, c_in, g.groups, c_out // g.groups)
        swapped = jnp.swapaxes(grouped, -3, -1)
        return swapped.reshape(*window, c_out // g.groups, g.groups * c_in)
    c_out, c_in, *window = w.shape
    grouped = w.reshape(g.groups, c_out // g.groups, c_in, *window)
    swapped = jnp.swapaxes(grouped, 1, 2)
    return swapped.reshape(g.groups * c_in, c_out // g.groups, *window)
