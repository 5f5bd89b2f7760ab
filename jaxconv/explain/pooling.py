"""The pools from the arguments of their ops, with the size of the input in the place of x."""

from jaxconv._core.arguments import (
    IntOrInts,
    Layout,
    Padding,
    Ties,
    as_bool,
    as_float,
    as_int,
    check_option,
)
from jaxconv._core.geometry import Windows, windows_over
from jaxconv.explain.pools import AvgPool, ExtremePool, LpPool
from jaxconv.explain.windowed import image_size


def max_pool(
    *,
    input: IntOrInts,  # noqa: A002
    window: IntOrInts,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    ties: Ties = "first",
    layout: Layout = "channels_last",
    batch: int = 1,
    channels: int = 1,
) -> ExtremePool:
    """Return `jaxconv.max_pool` of an input of this size."""
    g = _windows("max_pool", input, window, stride, padding, dilation, ceil_mode, layout)
    return _extreme("max", g, ties, batch, channels)


def min_pool(
    *,
    input: IntOrInts,  # noqa: A002
    window: IntOrInts,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    ties: Ties = "first",
    layout: Layout = "channels_last",
    batch: int = 1,
    channels: int = 1,
) -> ExtremePool:
    """Return `jaxconv.min_pool` of an input of this size."""
    g = _windows("min_pool", input, window, stride, padding, dilation, ceil_mode, layout)
    return _extreme("min", g, ties, batch, channels)


def avg_pool(
    *,
    input: IntOrInts,  # noqa: A002
    window: IntOrInts,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: float | None = None,
    layout: Layout = "channels_last",
    batch: int = 1,
    channels: int = 1,
) -> AvgPool:
    """Return `jaxconv.avg_pool` of an input of this size."""
    op = "avg_pool"
    g = _windows(op, input, window, stride, padding, 1, ceil_mode, layout)
    counts_pad = as_bool(op, "count_include_pad", count_include_pad)
    divisor = None if divisor is None else as_float(op, "divisor", divisor)
    if divisor == 0:
        raise ValueError(f"{op}: divisor must not be 0")
    return AvgPool(g, *_sizes(op, batch, channels), counts_pad, divisor)


def lp_pool(
    *,
    input: IntOrInts,  # noqa: A002
    window: IntOrInts,
    p: float,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
    layout: Layout = "channels_last",
    batch: int = 1,
    channels: int = 1,
) -> LpPool:
    """Return `jaxconv.lp_pool` of an input of this size."""
    op = "lp_pool"
    g = _windows(op, input, window, stride, padding, 1, ceil_mode, layout)
    p = as_float(op, "p", p)
    if p <= 0:
        raise ValueError(f"{op}: p must be more than 0, but got {p}")
    return LpPool(g, *_sizes(op, batch, channels), p)


def _windows(
    op: str,
    size: IntOrInts,
    window: IntOrInts,
    stride: IntOrInts | None,
    padding: Padding,
    dilation: IntOrInts,
    ceil_mode: bool,
    layout: Layout,
) -> Windows:
    check_option(op, "layout", layout, Layout)
    return windows_over(
        op, image_size(op, size), window, stride=stride, padding=padding, dilation=dilation,
        ceil_mode=ceil_mode, layout=layout, name="input",
    )  # fmt: skip


def _extreme(function: str, g: Windows, ties: Ties, batch: int, channels: int) -> ExtremePool:
    op = f"{function}_pool"
    check_option(op, "ties", ties, Ties)
    return ExtremePool(g, *_sizes(op, batch, channels), ties, function)


def _sizes(op: str, batch: int, channels: int) -> tuple[int, int]:
    return as_int(op, "batch", batch, 1), as_int(op, "channels", channels, 1)
