"""`Windows`: the static geometry of a windowed op as one value.

An op resolves its keywords here, once, into a frozen value that is validated,
hashable and free of arrays. That value is a static argument of the op's `custom_vjp`,
so the forward and the backward pass read the same numbers from it.

Per spatial dimension, with input size n, window K, stride s, dilation d and padding
(low, high), the window at output position i sees at its offset a the input position

    p = s·i + d·a − low,        0 ≤ i < n_out,   0 ≤ a < K,

    n_out = ⌊(n + low + high − d·(K−1) − 1) / s⌋ + 1     (ceil_mode may add one).

Positions p < 0 and p ≥ n are padding. Every backward pass of a windowed op solves this
equation for the other side: given p, which windows i see it, and at which offsets a?
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from jax import Array

from jaxconv._core.arguments import (
    IntOrInts,
    Layout,
    Padding,
    as_bool,
    as_int,
    check_option,
    is_sequence,
    per_dimension,
)
from jaxconv._core.symbolic import check_ceil_mode

T = TypeVar("T")

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

PADDING_NAMES = ("SAME", "SAME_LOWER", "VALID", "CAUSAL")


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows sliding over the spatial dimensions of an array.

    Attributes:
        size: input size n of each spatial dimension.
        window: number of elements K of a window.
        stride: distance s between neighbouring windows.
        dilation: distance d between neighbouring elements inside a window.
        padding: (low, high) positions added before and after the input.
        layout: which axis holds the channels.
        ceil_mode: whether a last window may end beyond the padding, if it starts before x ends.
    """

    size: Ints
    window: Ints
    stride: Ints
    dilation: Ints
    padding: Pairs
    layout: Layout
    ceil_mode: bool = False

    @property
    def dims(self) -> int:
        """The number of spatial dimensions."""
        return len(self.size)

    @property
    def known(self) -> bool:
        """Whether all sizes are ints; in `jax.export` they may be symbols."""
        return all(isinstance(n, int) for n in self.size)

    @property
    def extent(self) -> Ints:
        """The number of positions that a window spans, holes included: d·(K−1) + 1."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.window, strict=True))

    @property
    def output(self) -> Ints:
        """The number of windows that fit, per spatial dimension."""
        sizes = []
        for n, span, s, (low, high) in zip(
            self.size, self.extent, self.stride, self.padding, strict=True
        ):
            room = n + low + high - span
            steps = room // s
            # Round up only if the additional window starts inside the input or its low padding.
            if self.ceil_mode and room % s and (steps + 1) * s < n + low:
                steps += 1
            sizes.append(steps + 1)
        return tuple(sizes)

    @property
    def reach(self) -> Ints:
        """The positions from the start of the first window to the end of the last one."""
        return tuple(
            s * (o - 1) + span
            for s, o, span in zip(self.stride, self.output, self.extent, strict=True)
        )

    @property
    def covering(self) -> Pairs:
        """The padding with which x ends where the last window ends; a negative high crops."""
        return tuple(
            (low, reach - n - low)
            for (low, _), reach, n in zip(self.padding, self.reach, self.size, strict=True)
        )

    @property
    def channel_axis(self) -> int:
        """The axis that holds the channels."""
        return spatial_axes(self.dims, self.layout)[1]

    @property
    def spatial_axes(self) -> Ints:
        """The axes the windows slide over."""
        return spatial_axes(self.dims, self.layout)[0]

    def on_axes(self, values: Sequence[T], fill: T) -> tuple[T, ...]:
        """Return `values` at the spatial axes and `fill` at the batch and channel axes."""
        full = [fill] * (self.dims + 2)
        for axis, value in zip(self.spatial_axes, values, strict=True):
            full[axis] = value
        return tuple(full)


def spatial_axes(dims: int, layout: Layout) -> tuple[Ints, int]:
    """Return the spatial axes and the channel axis of an array with `dims` spatial dimensions."""
    if layout == "channels_last":
        return tuple(range(1, dims + 1)), dims + 1
    return tuple(range(2, dims + 2)), 1


def make_windows(
    op: str,
    x: Array,
    window: IntOrInts,
    *,
    stride: IntOrInts | None,
    padding: Padding,
    dilation: IntOrInts,
    ceil_mode: bool,
    layout: Layout,
) -> Windows:
    """Resolve the arguments of a pooling op over `x`; `stride=None` means `window`."""
    axes, _ = image_axes(op, x, layout)
    return windows_over(
        op, tuple(x.shape[axis] for axis in axes), window, stride=stride, padding=padding,
        dilation=dilation, ceil_mode=ceil_mode, layout=layout,
    )  # fmt: skip


def windows_over(
    op: str,
    size: Ints,
    window: IntOrInts,
    *,
    stride: IntOrInts | None,
    padding: Padding,
    dilation: IntOrInts,
    ceil_mode: bool,
    layout: Layout,
    name: str = "x",
) -> Windows:
    """Resolve the arguments of a windowed op from sizes; messages call the array `name`."""
    dims = len(size)
    k = per_dimension(op, "window", window, dims, 1)
    s = k if stride is None else per_dimension(op, "stride", stride, dims, 1)
    d = per_dimension(op, "dilation", dilation, dims, 1)
    windows = Windows(
        size=size,
        window=k,
        stride=s,
        dilation=d,
        padding=resolve_padding(op, padding, size, k, s, d),
        layout=layout,
        ceil_mode=as_bool(op, "ceil_mode", ceil_mode),
    )
    if windows.ceil_mode:
        check_ceil_mode(op, size, windows.padding, windows.extent, s)
    check_output(op, windows, name)
    return windows


def image_axes(
    op: str, x: Array, layout: Layout, fewest: int = 1, name: str = "x"
) -> tuple[Ints, int]:
    """Check the rank of x and the layout, and return the spatial axes and the channel axis.

    x must have at least `fewest` spatial dimensions; 0 allows (N, C). Messages call x `name`.
    """
    check_option(op, "layout", layout, Layout)
    if not fewest <= x.ndim - 2 <= 3:
        form = "(N, *spatial, C)" if layout == "channels_last" else "(N, C, *spatial)"
        counts = "1, 2 or 3" if fewest else "0 to 3"
        raise ValueError(
            f"{op}: {name} must be {form} with {counts} spatial dimensions,"
            f" but its shape is {x.shape}"
        )
    return spatial_axes(x.ndim - 2, layout)


def check_positions(op: str, x: Array, axes: Ints) -> None:
    """Raise if one of these spatial dimensions of x is empty."""
    if 0 in (x.shape[axis] for axis in axes):
        raise ValueError(
            f"{op}: x must have at least 1 position in each spatial dimension, but its shape is"
            f" {x.shape}"
        )


def resolve_padding(
    op: str, padding: object, size: Ints, window: Ints, stride: Ints, dilation: Ints, least: int = 0
) -> Pairs:
    """Return any form of `padding` as one (low, high) pair per spatial dimension.

    Numbers must be at least `least`; a negative number crops.
    """
    dims = len(size)
    if isinstance(padding, str):
        return named_padding(op, padding, size, window, stride, dilation)
    if not is_sequence(padding):
        try:
            return ((as_int(op, "padding", padding, least),) * 2,) * dims
        except TypeError:
            raise TypeError(_padding_forms(op, dims, padding)) from None
    if len(padding) != dims:
        raise ValueError(_padding_forms(op, dims, padding))
    pairs = []
    for axis, entry in enumerate(padding):
        if not is_sequence(entry):
            entry = (entry, entry)
        if len(entry) != 2:
            raise ValueError(
                f"{op}: padding[{axis}] must be an int or a (low, high) pair, but got {entry!r}"
            )
        low, high = (as_int(op, f"padding[{axis}]", e, least) for e in entry)
        pairs.append((low, high))
    return tuple(pairs)


def _padding_forms(op: str, dims: int, padding: object) -> str:
    return (
        f"{op}: padding must be a name, an int, {dims} ints or {dims} (low, high) pairs,"
        f" one per spatial dimension, but got {padding!r}"
    )


def named_padding(
    op: str, name: str, size: Ints, window: Ints, stride: Ints, dilation: Ints
) -> Pairs:
    """Return the pairs for a name; if a total is odd, SAME adds one more high, SAME_LOWER low."""
    kind = name.upper()
    if kind not in PADDING_NAMES:
        expected = ", ".join(map(repr, PADDING_NAMES))
        raise ValueError(
            f"{op}: padding must be one of {expected}, ints or pairs, but got {name!r}"
        )
    if kind == "CAUSAL" and len(size) != 1:
        raise ValueError(f"{op}: padding 'CAUSAL' needs 1 spatial dimension, but x has {len(size)}")
    pairs = []
    for n, k, s, d in zip(size, window, stride, dilation, strict=True):
        if kind == "VALID":
            total = 0
        elif kind == "CAUSAL":
            total = d * (k - 1)
        else:
            total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        low = {"SAME": total // 2, "SAME_LOWER": total - total // 2}.get(kind, total)
        pairs.append((low, total - low))
    return tuple(pairs)


def check_output(op: str, windows: Any, array: str = "x") -> None:
    """Raise if no window fits in some dimension; `windows` is a `Windows` or a `ConvSpec`."""
    for axis, out in enumerate(windows.output):
        if out < 1:
            low, high = windows.padding[axis]
            raise ValueError(
                f"{op}: the window spans {windows.extent[axis]} positions of spatial dimension"
                f" {axis} (window {windows.window[axis]}, dilation {windows.dilation[axis]}),"
                f" but {array} has {windows.size[axis]} + {low + high} of padding"
            )
