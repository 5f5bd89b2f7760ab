"""Reference implementations of the convolutions, differentiated by JAX."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec
from jax.typing import DTypeLike

from jaxconv._core.arguments import (
    DimensionNumbers,
    IntOrInts,
    Layout,
    Padding,
    PaddingMode,
    PairsLike,
    PrecisionLike,
    accumulator,
    as_precision,
    per_channel,
)
from jaxconv._core.conv_call import conv_call, transposed_call
from jaxconv._core.shapes import Shaped
from jaxconv.reference.padding import JNP_MODES


def conv(
    x: Shaped[Array, "N *spatial C_in"],
    w: Shaped[Array, "*window C_group C_out"],
    b: Shaped[Array, "C_out"] | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = "SAME",
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    flip_kernel: bool = False,
    layout: Layout = "channels_last",
    precision: PrecisionLike = None,
) -> Shaped[Array, "N *spatial_out C_out"]:
    """See `jaxconv.conv`."""
    call, x, w, b = conv_call(
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
    g = call.spec
    padding = g.padding
    if padding_mode != "zeros":
        widths = [(0, 0)] * x.ndim
        for axis, pair in zip(call.spatial_axes, padding, strict=True):
            widths[axis] = pair
        x = jnp.pad(x, widths, mode=JNP_MODES[padding_mode])
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
        precision=call.precision,
        preferred_element_type=accumulator(x.dtype),
    )
    if b is not None:
        y = y + per_channel(b, y, y.ndim - 1 if layout == "channels_last" else 1)
    return y.astype(x.dtype)


def conv_transpose(
    x: Shaped[Array, "N *spatial C_in"],
    w: Shaped[Array, "*window C_group C_in"],
    b: Shaped[Array, "C_out"] | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = "SAME",
    output_padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
    layout: Layout = "channels_last",
    precision: PrecisionLike = None,
) -> Shaped[Array, "N *spatial_out C_out"]:
    """See `jaxconv.conv_transpose`."""
    call, x, w, b = transposed_call(
        "conv_transpose",
        x,
        w,
        b,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=groups,
        layout=layout,
        precision=precision,
    )
    g = call.spec
    if layout == "channels_first":
        x, w = jnp.moveaxis(x, 1, -1), jnp.moveaxis(w, (0, 1), (-1, -2))
    spatial = "DHW"[-g.dims :]
    before = [span - 1 - low for span, (low, _) in zip(g.extent, g.padding, strict=True)]
    spread = [s * (o - 1) + 1 for s, o in zip(g.stride, g.output, strict=True)]
    after = [
        size + span - 1 - low - length
        for size, span, low, length in zip(g.size, g.extent, before, spread, strict=True)
    ]
    # Group by group, because lax expects the output channels of all groups on one kernel axis.
    pieces = [
        lax.conv_general_dilated(
            piece,
            jnp.flip(kernel, range(g.dims)),
            window_strides=(1,) * g.dims,
            padding=list(zip(before, after, strict=True)),
            lhs_dilation=g.stride,
            rhs_dilation=g.dilation,
            dimension_numbers=(f"N{spatial}C", f"{spatial}OI", f"N{spatial}C"),
            precision=call.precision,
            preferred_element_type=accumulator(x.dtype),
        )
        for piece, kernel in zip(
            jnp.split(x, g.groups, axis=-1), jnp.split(w, g.groups, axis=-1), strict=True
        )
    ]
    y = jnp.concatenate(pieces, axis=-1)
    if b is not None:
        y = y + per_channel(b, y, y.ndim - 1)
    if layout == "channels_first":
        y = jnp.moveaxis(y, -1, 1)
    return y.astype(x.dtype)


def conv_general_dilated(
    lhs: Shaped[Array, "N C_in *spatial"],
    rhs: Shaped[Array, "C_out C_group *window"],
    window_strides: Sequence[int],
    padding: str | PairsLike,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: DimensionNumbers = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    out_sharding: NamedSharding | PartitionSpec | None = None,
) -> Shaped[Array, "N_out C_out *spatial_out"]:
    """See `jaxconv.conv_general_dilated`."""
    dtype = jnp.dtype(preferred_element_type or lhs.dtype)
    wide = max(dtype, accumulator(lhs.dtype), key=lambda d: jnp.finfo(d).bits)
    y = lax.conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=dimension_numbers,
        feature_group_count=feature_group_count,
        batch_group_count=batch_group_count,
        precision=as_precision("conv_general_dilated", precision),
        preferred_element_type=wide,
        out_sharding=out_sharding,
    )
    return y.astype(dtype)
