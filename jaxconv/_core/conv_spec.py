"""`ConvSpec`: where the windows of a convolution land, as one validated, hashable value.

A convolution is one sum of products of three numbers. Per spatial dimension, with n input
positions, input dilation e, stride s, dilation d and padding (low, high), output position i meets
the input position p at the element a of the window where

    e·p = s·i + d·a − low,      0 ≤ p < n,   0 ≤ i < n_out,   0 ≤ a < K,

    n_out = ⌊(e·(n−1) + 1 + low + high − d·(K−1) − 1) / s⌋ + 1     (0 if that is negative).

Input and output enter this equation alike. Read from the output's side, with the window counted
backwards, it is the equation of another convolution, whose stride is e and whose input dilation is
s: `ConvSpec.transposed`. So a transposed convolution, a convolution with `lhs_dilation` and an
input gradient are convolutions with exchanged roles.
"""

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from jaxconv._core.geometry import Ints, Pairs, Windows

_PER_DIMENSION = ("size", "window", "stride", "dilation", "input_dilation", "padding")


@dataclass(frozen=True, kw_only=True)
class ConvSpec:
    """The geometry of a convolution, channels included.

    Layout, dtype, precision, border mode and the flip of the kernel are no part of it.

    Attributes:
        size: input positions n of each spatial dimension, without the holes of `input_dilation`.
        window: window extent K.
        stride: distance s between neighbouring windows.
        dilation: distance d between neighbouring elements of a window.
        input_dilation: distance e between neighbouring elements of the input; lax's `lhs_dilation`.
        padding: (low, high) positions added before and after the dilated input; negative ones cut.
        groups: the channels fall into this many groups that do not see each other.
        channels_in: channels of x, of all groups together.
        channels_out: channels of y, of all groups together.

    Raises:
        ValueError: lengths that differ, numbers below their least value, or channels that the
            groups cannot share.
    """

    size: Ints
    window: Ints
    stride: Ints
    dilation: Ints
    input_dilation: Ints
    padding: Pairs
    groups: int
    channels_in: int
    channels_out: int

    def __post_init__(self) -> None:
        """Refuse what is no convolution; an op has checked its arguments and named them before."""
        lengths = {name: len(getattr(self, name)) for name in _PER_DIMENSION}
        if len(set(lengths.values())) != 1:
            raise ValueError(
                f"ConvSpec: one entry per spatial dimension is expected, got {lengths}"
            )
        for name in ("window", "stride", "dilation", "input_dilation"):
            if any(number < 1 for number in getattr(self, name)):
                raise ValueError(f"ConvSpec: {name} must be at least 1, got {getattr(self, name)}")
        for name in ("channels_in", "channels_out"):
            channels = getattr(self, name)
            if self.groups < 1 or channels % self.groups:
                raise ValueError(
                    f"ConvSpec: {name} must be a multiple of groups, got {channels} channels and"
                    f" {self.groups} groups"
                )

    @property
    def dims(self) -> int:
        """The number of spatial dimensions."""
        return len(self.size)

    @property
    def taps(self) -> int:
        """The number of elements of a window, Π K."""
        return math.prod(self.window)

    @property
    def in_a_group(self) -> int:
        """Input channels of one group."""
        return self.channels_in // self.groups

    @property
    def out_a_group(self) -> int:
        """Output channels of one group."""
        return self.channels_out // self.groups

    @property
    def kernel_shape(self) -> Ints:
        """The shape of w, channels last."""
        return (*self.window, self.in_a_group, self.channels_out)

    @property
    def extent(self) -> Ints:
        """What a window spans, its holes included: d·(K−1) + 1."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.window, strict=True))

    @property
    def dilated_size(self) -> Ints:
        """The input positions with the holes between them: e·(n−1) + 1."""
        return tuple(_dilated(n, e) for n, e in zip(self.size, self.input_dilation, strict=True))

    @cached_property
    def output(self) -> Ints:
        """How many windows fit, per spatial dimension; 0 where none does."""
        return tuple(
            windows_that_fit(n + low + high - span, s)
            for n, span, s, (low, high) in zip(
                self.dilated_size, self.extent, self.stride, self.padding, strict=True
            )
        )

    @property
    def covering(self) -> Pairs:
        """The padding with which the input ends where the last window does; negative ones cut."""
        return tuple(
            (low, s * (o - 1) + span - n - low)
            for (low, _), s, o, span, n in zip(
                self.padding, self.stride, self.output, self.extent, self.dilated_size, strict=True
            )
        )

    @property
    def is_static(self) -> bool:
        """Whether all sizes are ints: in `jax.export` they may be symbols."""
        numbers = (*self.size, self.channels_in, self.channels_out, *sum(self.padding, ()))
        return all(isinstance(number, int) for number in numbers)

    @property
    def is_empty(self) -> bool:
        """Whether there is no product to add up, because something has size 0."""
        numbers = (*self.size, *self.output, self.channels_in, self.channels_out)
        return any(isinstance(number, int) and number == 0 for number in numbers)

    def multiply_adds(self, batch: int) -> int:
        """One for each example, window, element of the window and pair of channels."""
        return batch * math.prod(self.output) * self.taps * self.in_a_group * self.channels_out

    @cached_property
    def transposed(self) -> "ConvSpec":
        """The convolution that leads from y's shape to x's, with a kernel that is read backwards.

        With a' = K−1−a, s·i = e·p + low − d·a is s·i = e·p + d·a' − (d·(K−1) − low): stride e,
        input dilation s. Its padding is whatever gives n windows, and its kernel is
        `kernels.transposed`.
        """
        padding = []
        for n, o, e, s, span, (low, _) in zip(
            self.size, self.output, self.input_dilation, self.stride, self.extent, self.padding,
            strict=True,
        ):  # fmt: skip
            before = span - 1 - low
            padding.append((before, _dilated(n, e) + span - 1 - before - _dilated(o, s)))
        return ConvSpec(
            size=self.output,
            window=self.window,
            stride=self.input_dilation,
            dilation=self.dilation,
            input_dilation=self.stride,
            padding=tuple(padding),
            groups=self.groups,
            channels_in=self.channels_out,
            channels_out=self.channels_in,
        )

    def with_channels(self, channels_in: int, channels_out: int) -> "ConvSpec":
        """The same windows over other channels."""
        return replace(self, channels_in=channels_in, channels_out=channels_out)

    def one_group(self) -> "ConvSpec":
        """A group by itself."""
        return replace(self, groups=1, channels_in=self.in_a_group, channels_out=self.out_a_group)

    def without_first(self, fold: int = 1) -> "ConvSpec":
        """The spatial dimensions but for the first, with `fold` times as many input channels."""
        rest = {name: getattr(self, name)[1:] for name in _PER_DIMENSION}
        return replace(self, channels_in=fold * self.channels_in, **rest)

    def windows(self) -> Windows:
        """The same windows as pools have them, channels last; without an input dilation."""
        shared = {f.name for f in fields(Windows)} & set(_PER_DIMENSION)
        return Windows(layout="channels_last", **{name: getattr(self, name) for name in shared})


def windows_that_fit(room: Any, stride: int) -> Any:
    """How many windows fit, if the last of them may begin `room` positions after the first.

    A `room` of symbolic sizes counts as not negative.
    """
    return 0 if isinstance(room, int) and room < 0 else room // stride + 1


def _dilated(n: Any, e: int) -> Any:
    """How many positions n elements span that are e apart."""
    return e * (n - 1) + 1 if not isinstance(n, int) or n else 0
