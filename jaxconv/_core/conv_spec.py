"""`ConvSpec`: the static geometry of a convolution as one validated, hashable value.

Per spatial dimension, with n input positions, input dilation e, stride s, dilation d and padding
(low, high), output position i reads the input position p with the element a of the window if

    e·p = s·i + d·a − low,      0 ≤ p < n,   0 ≤ i < n_out,   0 ≤ a < K,

    n_out = ⌊(e·(n−1) + 1 + low + high − d·(K−1) − 1) / s⌋ + 1     (0 if that is negative).

Input and output play the same part in this equation. With the two exchanged and the window counted
backwards, it is the equation of another convolution, whose stride is e and whose input dilation is
s: `ConvSpec.transposed`. So an input gradient and a transposed convolution are convolutions, too.
"""

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property

from jaxconv._core.geometry import Ints, Pairs, Windows

_PER_DIMENSION = ("size", "window", "stride", "dilation", "input_dilation", "padding")


@dataclass(frozen=True, kw_only=True)
class ConvSpec:
    """The static geometry of a convolution, channels included.

    It does not hold layout, dtype, precision, padding mode or whether the kernel is flipped.

    Attributes:
        size: input positions n of each spatial dimension, without the holes of `input_dilation`.
        window: number of elements K of a window.
        stride: distance s between neighbouring windows.
        dilation: distance d between neighbouring elements of a window.
        input_dilation: distance e between neighbouring elements of the input; lax's `lhs_dilation`.
        padding: (low, high) positions added before and after the dilated input; a negative number
            crops.
        groups: number of channel groups that are convolved separately.
        channels_in: number of channels of x, of all groups together.
        channels_out: number of channels of y, of all groups together.

    Raises:
        ValueError: the lengths differ, a number is below its minimum, or a number of channels is
            not a multiple of groups.
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
        """Raise if this is no convolution; an op has checked its own arguments before."""
        lengths = {name: len(getattr(self, name)) for name in _PER_DIMENSION}
        if len(set(lengths.values())) != 1:
            raise ValueError(
                f"ConvSpec: every field must have one entry per spatial dimension, got {lengths}"
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
        """The number of input channels of one group."""
        return self.channels_in // self.groups

    @property
    def out_a_group(self) -> int:
        """The number of output channels of one group."""
        return self.channels_out // self.groups

    @property
    def kernel_shape(self) -> Ints:
        """The shape of w, channels last."""
        return (*self.window, self.in_a_group, self.channels_out)

    @property
    def extent(self) -> Ints:
        """The number of positions that a window spans, holes included: d·(K−1) + 1."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.window, strict=True))

    @property
    def dilated_size(self) -> Ints:
        """The number of input positions, holes included: e·(n−1) + 1."""
        return tuple(_dilated(n, e) for n, e in zip(self.size, self.input_dilation, strict=True))

    @cached_property
    def output(self) -> Ints:
        """The number of windows that fit, per spatial dimension; 0 if none fits."""
        return tuple(
            windows_that_fit(n + low + high - span, s)
            for n, span, s, (low, high) in zip(
                self.dilated_size, self.extent, self.stride, self.padding, strict=True
            )
        )

    @property
    def covering(self) -> Pairs:
        """The padding with which the input ends where the last window ends; it may be negative."""
        return tuple(
            (low, s * (o - 1) + span - n - low)
            for (low, _), s, o, span, n in zip(
                self.padding, self.stride, self.output, self.extent, self.dilated_size, strict=True
            )
        )

    @property
    def is_static(self) -> bool:
        """Whether all sizes are ints; in `jax.export` they may be symbols."""
        numbers = (*self.size, self.channels_in, self.channels_out, *sum(self.padding, ()))
        return all(isinstance(number, int) for number in numbers)

    @property
    def is_empty(self) -> bool:
        """Whether there are no products to add up, because some size is 0."""
        numbers = (*self.size, *self.output, self.channels_in, self.channels_out)
        return any(isinstance(number, int) and number == 0 for number in numbers)

    def multiply_adds(self, batch: int) -> int:
        """Count the products: one per example, window, element of it and pair of channels."""
        return batch * math.prod(self.output) * self.taps * self.in_a_group * self.channels_out

    @cached_property
    def transposed(self) -> "ConvSpec":
        """The convolution from the shape of y to that of x, whose kernel is read backwards.

        With a' = K−1−a, the equation s·i = e·p + low − d·a is s·i = e·p + d·a' − (d·(K−1) − low).
        So the stride is e and the input dilation s. The high padding is the one with which n
        windows fit. The kernel is that of `kernels.transposed`.
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
        """Return this spec with other numbers of channels."""
        return replace(self, channels_in=channels_in, channels_out=channels_out)

    def one_group(self) -> "ConvSpec":
        """Return the spec of one group by itself."""
        return replace(self, groups=1, channels_in=self.in_a_group, channels_out=self.out_a_group)

    def without_first(self, fold: int = 1) -> "ConvSpec":
        """Return this spec without its first dimension, with `fold` times the input channels."""
        rest = {name: getattr(self, name)[1:] for name in _PER_DIMENSION}
        return replace(self, channels_in=fold * self.channels_in, **rest)

    def windows(self) -> Windows:
        """Return the `Windows` of a pool, channels last; they have no input dilation."""
        shared = {f.name for f in fields(Windows)} & set(_PER_DIMENSION)
        return Windows(layout="channels_last", **{name: getattr(self, name) for name in shared})


def windows_that_fit(room: int, stride: int) -> int:
    """Return how many windows fit if the last may begin `room` positions after the first.

    A `room` that is a symbol counts as not negative.
    """
    return 0 if isinstance(room, int) and room < 0 else room // stride + 1


def _dilated(n: int, e: int) -> int:
    """Return how many positions n elements span that are e apart."""
    return e * (n - 1) + 1 if not isinstance(n, int) or n else 0
