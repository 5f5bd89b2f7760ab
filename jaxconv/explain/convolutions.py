"""The layers of the form T from the arguments of their ops, with sizes in the place of arrays."""

import math

import numpy as np

from jaxconv._core.arguments import (
    IntOrInts,
    Layout,
    Padding,
    PaddingMode,
    as_bool,
    as_int,
    check_option,
    per_dimension,
)
from jaxconv._core.conv_call import transposed_call
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import check_output, resolve_padding
from jaxconv.explain.axes import check_count
from jaxconv.explain.trilinear import Trilinear
from jaxconv.explain.windowed import image_size


def conv(
    *,
    input: IntOrInts,  # noqa: A002
    kernel: IntOrInts,
    stride: IntOrInts = 1,
    padding: Padding = "SAME",
    dilation: IntOrInts = 1,
    input_dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    flip_kernel: bool = False,
    layout: Layout = "channels_last",
    batch: int = 1,
    channels_in: int | None = None,
    channels_out: int | None = None,
    bias: bool = False,
) -> Trilinear:
    """Return `jaxconv.conv` of an input and a kernel of these sizes."""
    op = "conv"
    size = image_size(op, input)
    dims = len(size)
    window = per_dimension(op, "kernel", kernel, dims, 1)
    s = per_dimension(op, "stride", stride, dims, 1)
    d = per_dimension(op, "dilation", dilation, dims, 1)
    e = per_dimension(op, "input_dilation", input_dilation, dims, 1)
    check_option(op, "padding_mode", padding_mode, PaddingMode)
    check_option(op, "layout", layout, Layout)
    if set(e) - {1} and (isinstance(padding, str) or padding_mode != "zeros"):
        raise ValueError(
            f"{op}: padding must be numbers and padding_mode 'zeros' where input_dilation is not 1,"
            f" but got {padding!r} and {padding_mode!r}"
        )
    least = -(2**31) if padding_mode == "zeros" else 0
    groups, c_in, c_out = _channels(op, groups, channels_in, channels_out)
    spec = ConvSpec(
        size=size,
        window=window,
        stride=s,
        dilation=d,
        input_dilation=e,
        padding=resolve_padding(op, padding, size, window, s, d, least),
        groups=groups,
        channels_in=c_in,
        channels_out=c_out,
    )
    check_output(op, spec)
    return Trilinear(
        op, spec, batch=as_int(op, "batch", batch, 1), layout=layout,
        bias=as_bool(op, "bias", bias), flip=as_bool(op, "flip_kernel", flip_kernel),
        padding_mode=padding_mode,
    )  # fmt: skip


def conv_transpose(
    *,
    input: IntOrInts,  # noqa: A002
    kernel: IntOrInts,
    stride: IntOrInts = 1,
    padding: Padding = "SAME",
    output_padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
    layout: Layout = "channels_last",
    batch: int = 1,
    channels_in: int | None = None,
    channels_out: int | None = None,
    bias: bool = False,
) -> Trilinear:
    """Return `jaxconv.conv_transpose` of an input and a kernel of these sizes."""
    op = "conv_transpose"
    size = image_size(op, input)
    window = per_dimension(op, "kernel", kernel, len(size), 1)
    check_option(op, "layout", layout, Layout)
    groups, c_in, c_out = _channels(op, groups, channels_in, channels_out)
    check_count("products of an example", math.prod((*size, *window, c_in, c_out)))
    call, *_ = transposed_call(
        op, np.zeros((1, *size, c_in), np.float32),
        np.zeros((*window, c_out // groups, c_in), np.float32), None,
        stride=stride, padding=padding, output_padding=output_padding, dilation=dilation,
        groups=groups, layout="channels_last", precision=None,
    )  # fmt: skip
    return Trilinear(
        op, call.spec, batch=as_int(op, "batch", batch, 1), layout=layout,
        bias=as_bool(op, "bias", bias), transposed=True,
    )  # fmt: skip


def dense(*, inputs: int, outputs: int, batch: int = 1, bias: bool = False) -> Trilinear:
    """Return `jaxconv.dense`, a convolution without spatial dimensions."""
    op = "dense"
    spec = ConvSpec(
        size=(), window=(), stride=(), dilation=(), input_dilation=(), padding=(), groups=1,
        channels_in=as_int(op, "inputs", inputs, 1), channels_out=as_int(op, "outputs", outputs, 1),
    )  # fmt: skip
    batch = as_int(op, "batch", batch, 1)
    return Trilinear(op, spec, batch=batch, bias=as_bool(op, "bias", bias))


def _channels(op: str, groups: int, c_in: int | None, c_out: int | None) -> tuple[int, int, int]:
    """Return the groups and the channels, which are one per group if not given."""
    groups = as_int(op, "groups", groups, 1)
    counts = []
    for name, given in (("channels_in", c_in), ("channels_out", c_out)):
        count = groups if given is None else as_int(op, name, given, 1)
        if count % groups:
            raise ValueError(f"{op}: {name} must be a multiple of groups={groups}, but got {count}")
        counts.append(count)
    return groups, counts[0], counts[1]
