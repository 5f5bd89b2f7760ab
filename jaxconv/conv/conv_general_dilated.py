"""`jax.lax.conv_general_dilated` with the rule of `conv`."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec
from jax.typing import DTypeLike

from jaxconv._core.arguments import (
    FLOATS,
    DimensionNumbers,
    DType,
    Layout,
    PairsLike,
    PrecisionLike,
    accumulator,
    aligned,
    as_array,
    as_int,
    as_precision,
    check_floating,
    is_sequence,
    per_dimension,
)
from jaxconv._core.conv_call import ConvCall
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints, Pairs, named_padding
from jaxconv._core.shapes import Shaped
from jaxconv.conv.conv import conv_rule

_OP = "conv_general_dilated"


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
    r"""`jax.lax.conv_general_dilated` with gradients derived by hand.

    You can pass it to a library that accepts a convolution function, for example as
    `flax.linen.Conv(…, conv_general_dilated=…)`. In one dimension, with x = lhs, w = rhs,
    s = window_strides, e = lhs_dilation and d = rhs_dilation:

        y[n, i, k] = Σ_{a,c} x̂[n, s·i + d·a − low, c] · w[a, c, k],
                     x̂[e·p] = x[p], and 0 between and outside

        dx[n, p, c] = Σ_{i,a,k : s·i + d·a − low = e·p} dy[n, i, k] · w[a, c, k]
        dw[a, c, k] = Σ_{n,i} x̂[n, s·i + d·a − low, c] · dy[n, i, k]

    This is `conv` of an input whose elements are spread e apart. Two things are brought into the
    form of `conv`: the axes are transposed to its order, and B batch groups, each with its own
    kernels, become B feature groups, because the sums are the same whether their terms lie side by
    side in the batch or in the channels. Saved for the backward pass: x and w.

    Example:
        >>> import jax.numpy as jnp
        >>> lhs, rhs = jnp.ones((1, 3, 5, 5)), jnp.ones((2, 3, 3, 3))
        >>> conv_general_dilated(lhs, rhs, window_strides=(1, 1), padding="VALID").shape
        (1, 2, 3, 3)

    Args:
        lhs: x, the images, with zero or more spatial dimensions.
        rhs: w, the kernels.
        window_strides: s, one int per spatial dimension.
        padding: "SAME", "SAME_LOWER", "VALID", or one (low, high) pair per spatial dimension, in
            which a negative number crops. A name needs lhs_dilation 1.
        lhs_dilation: e, one int per spatial dimension; None means 1.
        rhs_dilation: d, one int per spatial dimension; None means 1.
        dimension_numbers: three strings or a `ConvDimensionNumbers` that say which axis is which;
            None means channels first.
        feature_group_count: number of channel groups that are convolved separately.
        batch_group_count: number of groups of examples, each with its own kernels. One of the two
            counts must be 1.
        precision: precision of the products, as in `jaxconv.conv`.
        preferred_element_type: the dtype of y, which must be that of x or a wider float.
        out_sharding: the sharding of y on a mesh with Explicit axes.

    Returns:
        y, with its axes in the order of dimension_numbers, in the dtype of x or the preferred one.
        Sums of 16-bit floats are accumulated in float32. If a size is 0 or no window fits, y is
        empty or 0, as in lax. Unlike lax, this function raises an error for integers, because they
        have no gradient.

    Raises:
        TypeError: an array is not floating-point, or the dtypes of lhs and rhs differ.
        ValueError: the shapes do not fit together, or another argument is invalid.

    The derivation: docs/derivations/conv.md, section 9.
    """
    as_conv = read_call(
        lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers,
        feature_group_count, batch_group_count, precision, preferred_element_type,
    )  # fmt: skip
    y = conv_rule(as_conv.call, *aligned(as_conv.x, as_conv.w, None))
    y = y if as_conv.axes is None else y.transpose(as_conv.axes)
    return y if out_sharding is None else jax.sharding.reshard(y, out_sharding)


class AsConv(NamedTuple):
    """A call with lax's signature as a call of `conv`.

    Attributes:
        call: the geometry and the other settings.
        x: the images, in the layout of the call.
        w: the kernels, in the layout of the call.
        axes: how to transpose y to the order of the dimension numbers; None if it is in it.
    """

    call: ConvCall
    x: Array
    w: Array
    axes: tuple[int, ...] | None


def read_call(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: str | PairsLike,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: DimensionNumbers = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
) -> AsConv:
    """Check the arguments of `conv_general_dilated` and bring them into the form of `conv`."""
    lhs, rhs = as_array(_OP, "lhs", lhs), as_array(_OP, "rhs", rhs)
    check_floating(_OP, lhs=lhs, rhs=rhs)
    images, kernels, out = _axes(lhs, rhs, dimension_numbers)
    dims = lhs.ndim - 2
    wide = _output_dtype(lhs.dtype, preferred_element_type)
    if jnp.finfo(wide).bits > jnp.finfo(accumulator(lhs.dtype)).bits:
        lhs, rhs = lhs.astype(wide), rhs.astype(wide)

    first = images == tuple(range(dims + 2)) and kernels == images and out == images
    layout: Layout = "channels_first" if first else "channels_last"
    x = lhs if first else lhs.transpose(images[0], *images[2:], images[1])
    w = rhs if first else rhs.transpose(*kernels[2:], kernels[1], kernels[0])
    channel_axis = 1 if first else dims + 1
    c_in, c_out = (w.shape[1], w.shape[0]) if first else w.shape[-2:]
    x, groups = _groups(x, channel_axis, c_in, c_out, feature_group_count, batch_group_count)

    size = tuple(x.shape[2:] if first else x.shape[1:-1])
    window = tuple(w.shape[2:] if first else w.shape[:-2])
    if 0 in window:
        raise ValueError(f"{_OP}: rhs has an empty window, its shape is {rhs.shape}")
    stride = _numbers("window_strides", window_strides, dims)
    dilation = _numbers("rhs_dilation", rhs_dilation, dims)
    input_dilation = _numbers("lhs_dilation", lhs_dilation, dims)
    call = ConvCall(
        spec=ConvSpec(
            size=size,
            window=window,
            stride=stride,
            dilation=dilation,
            input_dilation=input_dilation,
            padding=_padding(padding, input_dilation, size, window, stride, dilation),
            groups=groups,
            channels_in=x.shape[channel_axis],
            channels_out=c_out,
        ),
        layout=layout,
        precision=as_precision(_OP, precision),
        dtype=wide,
    )
    for axis, (n, (low, high)) in enumerate(
        zip(call.spec.dilated_size, call.spec.padding, strict=True)
    ):
        if isinstance(n, int) and n + low + high < 0:
            raise ValueError(
                f"{_OP}: padding[{axis}] cuts {-low - high} positions, but lhs has {n} of them"
            )
    axes = None if first else tuple(np.argsort((out[0], *out[2:], out[1])).tolist())
    return AsConv(call, x, w, axes)


def _axes(lhs: Array, rhs: Array, numbers: object) -> tuple[tuple[int, ...], ...]:
    """Return the axes of lhs, rhs, y: (batch, feature, *spatial), for rhs (out, in, *spatial)."""
    if lhs.ndim < 2 or lhs.ndim != rhs.ndim:
        raise ValueError(
            f"{_OP}: lhs and rhs must have the same number of dimensions, at least 2,"
            f" but their shapes are {lhs.shape} and {rhs.shape}"
        )
    try:
        specs = lax.conv_dimension_numbers(lhs.shape, rhs.shape, numbers)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{_OP}: dimension_numbers must be None, a ConvDimensionNumbers or three strings like"
            f" ('NHWC', 'HWIO', 'NHWC') with a letter for each of {lhs.ndim} axes,"
            f" but got {numbers!r}"
        ) from error
    return tuple(specs.lhs_spec), tuple(specs.rhs_spec), tuple(specs.out_spec)


def _output_dtype(dtype: DType, preferred: DTypeLike | None) -> DType:
    if preferred is None:
        return dtype
    preferred = jnp.dtype(preferred)
    if preferred != dtype and (
        preferred not in FLOATS or jnp.finfo(preferred).bits <= jnp.finfo(dtype).bits
    ):
        raise TypeError(
            f"{_OP}: preferred_element_type must be {dtype} or a wider float, but got {preferred}"
        )
    return preferred


def _groups(
    x: Array, channel_axis: int, c_in: int, c_out: int, feature_groups: int, batch_groups: int
) -> tuple[Array, int]:
    """Return x with its batch groups side by side in the channels, and the number of groups."""
    groups = as_int(_OP, "feature_group_count", feature_groups, 1)
    parts = as_int(_OP, "batch_group_count", batch_groups, 1)
    if groups > 1 and parts > 1:
        raise ValueError(
            f"{_OP}: feature_group_count or batch_group_count must be 1,"
            f" but got {groups} and {parts}"
        )
    batch, channels = x.shape[0], x.shape[channel_axis]
    if channels != c_in * groups:
        raise ValueError(
            f"{_OP}: lhs has {channels} channels, but rhs expects {c_in * groups}"
            f" (feature_group_count={groups})"
        )
    for count, name in ((c_out, "channels of rhs"), (batch, "examples of lhs")):
        shared = groups * parts if count is c_out else parts
        if count % shared:
            raise ValueError(f"{_OP}: {count} {name} cannot be shared by {shared} groups")
    if parts == 1:
        return x, groups
    x = x.reshape(parts, batch // parts, *x.shape[1:])
    x = jnp.moveaxis(x, 0, channel_axis)
    shape = list(x.shape)
    shape[channel_axis : channel_axis + 2] = [parts * channels]
    return x.reshape(shape), parts


def _numbers(name: str, value: Sequence[int] | None, dims: int) -> tuple[int, ...]:
    return per_dimension(_OP, name, 1 if value is None else value, dims, 1)


def _padding(padding: str | PairsLike, input_dilation: Ints, *windows: Ints) -> Pairs:
    if isinstance(padding, str):
        if set(input_dilation) - {1}:
            raise ValueError(
                f"{_OP}: padding must be (low, high) pairs where lhs_dilation is not 1,"
                f" but got {padding!r}"
            )
        return named_padding(_OP, padding, *windows)
    if not is_sequence(padding) or len(padding) != len(input_dilation):
        raise ValueError(
            f"{_OP}: padding must be a name or {len(input_dilation)} (low, high) pairs, one per"
            f" spatial dimension, but got {padding!r}"
        )
    pairs = []
    for axis, pair in enumerate(padding):
        if not is_sequence(pair) or len(pair) != 2:
            raise ValueError(f"{_OP}: padding[{axis}] must be a (low, high) pair, but got {pair!r}")
        low, high = (as_int(_OP, f"padding[{axis}]", v, -(2**31) + 1) for v in pair)
        pairs.append((low, high))
    return tuple(pairs)
