"""The twin of `jaxconv.conv`: the same function, differentiated by JAX."""

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.arguments import IntOrInts, Layout, Padding, PaddingMode, PrecisionLike, accumulator
from jaxconv.geometry import make_conv_geometry

_JNP_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = "SAME",
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    flip_kernel: bool = False,
    layout: Layout = "channels_last",
    precision: PrecisionLike = None,
) -> Array:
    """See `jaxconv.conv`."""
    g, x, w, b = make_conv_geometry(
        "conv",
        x,
        w,
        b,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
        flip_kernel=flip_kernel,
        layout=layout,
        precision=precision,
    )
    padding = g.padding
    if padding_mode != "zeros":
        x = jnp.pad(x, g.on_axes(padding, (0, 0)), mode=_JNP_MODES[padding_mode])
        padding = ((0, 0),) * g.dims
    spatial = "DHW"[-g.dims :]
    if layout == "channels_last":
        images, kernels, window_axes = f"N{spatial}C", f"{spatial}IO", range(g.dims)
    else:
        images, kernels, window_axes = f"NC{spatial}", f"OI{spatial}", range(2, g.dims + 2)
    if flip_kernel:
        w = jnp.flip(w, tuple(window_axes))
    y = lax.conv_general_dilated(
        x,
        w,
        window_strides=g.stride,
        padding=padding,
        rhs_dilation=g.dilation,
        dimension_numbers=(images, kernels, images),
        feature_group_count=g.groups,
        precision=g.precision,
        preferred_element_type=accumulator(x.dtype),
    )
    if b is not None:
        b = b.astype(y.dtype)
        y = y + (b if layout == "channels_last" else b.reshape(-1, *(1,) * g.dims))
    return y.astype(x.dtype)
