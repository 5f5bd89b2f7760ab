"""How time grows with the batch, the size of an image, and the channels.

For each form of a convolution there is one layer, and three series of it, in each of which one
number is doubled from step to step. More work that takes less time is a hole in the choice of
forms: `inversions` finds it.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxconv.bench.contestants import Result, Timing, noise
from jaxconv.bench.convolution import Convolution, Padding
from jaxconv.bench.summary import backward, digits

AXES = ("batch", "size", "channels")
BATCHES = tuple(2**n for n in range(9))


class Point(Convolution):
    """One step of a series, of which nobody asks what it keeps for the backward pass."""

    def residual_bytes(self, ops: Any) -> None:
        """No question: it would be compiled once more for the answer."""

    @property
    def multiply_adds(self) -> int:
        """Those of the forward pass, with "SAME" padding and borders counted as full."""
        stride = self.stride if isinstance(self.stride, int) else math.prod(self.stride)
        places = math.prod(-(-n // stride) for n in self.size)
        kernel = math.prod(self.window) * self.c_in // self.groups * self.c_out
        return self.batch * places * kernel


@dataclass(frozen=True)
class Layer:
    """A form's representative.

    Attributes:
        window: of the kernel; its length is the number of spatial dimensions.
        channels: from the number that is doubled to (c_in, c_out, groups).
        base: batch, size and channels where the three series meet.
        sizes: of the series, in every dimension.
        widths: the channels of the series.
        stride, padding, up: as `Convolution` has them.
    """

    window: tuple[int, ...]
    channels: Callable[[int], tuple[int, int, int]]
    base: tuple[int, int, int]
    sizes: tuple[int, ...]
    widths: tuple[int, ...]
    stride: int = 1
    padding: Padding = "SAME"
    up: int = 1

    def at(self, batch: int, size: int, width: int) -> Point:
        """The layer with these three numbers."""
        c_in, c_out, groups = self.channels(width)
        return Point(
            batch, (size,) * len(self.window), self.window, c_in, c_out, self.stride, self.padding,
            groups=groups, up=self.up,
        )  # fmt: skip

    def series(self) -> dict[str, dict[int, Point]]:
        """For each axis the points by the number that is doubled."""
        batch, size, width = self.base
        return {
            "batch": {n: self.at(n, size, width) for n in BATCHES},
            "size": {n: self.at(batch, n, width) for n in self.sizes},
            "channels": {n: self.at(batch, size, n) for n in self.widths},
        }


def _dense(width: int) -> tuple[int, int, int]:
    return width, width, 1


def _depthwise(width: int) -> tuple[int, int, int]:
    return width, width, width


_TWO = (8, 16, 32, 64)
_WIDE = (8, 16, 32, 64, 128, 256)

LAYERS = {
    "3×3, 64→64": Layer((3, 3), _dense, (8, 16, 64), _TWO, _WIDE),
    "3×3, 3→32": Layer((3, 3), lambda n: (3, n, 1), (8, 32, 32), _TWO, _WIDE),
    "3×3, 32→3": Layer((3, 3), lambda n: (n, 3, 1), (8, 32, 32), _TWO, _WIDE),
    "3×3 stride 2, 64→64": Layer((3, 3), _dense, (8, 16, 64), _TWO, _WIDE, stride=2),
    "1×1, 64→64": Layer((1, 1), _dense, (8, 32, 64), _TWO, _WIDE),
    "4×4 stride 4, 16→64": Layer(
        (4, 4), lambda n: (n, 64, 1), (8, 32, 16), _TWO, (2, 4, 8, 16, 32, 64), stride=4
    ),
    "depthwise 3×3, 64": Layer((3, 3), _depthwise, (4, 16, 64), _TWO, _WIDE),
    "depthwise 3×3 stride 2, 64": Layer((3, 3), _depthwise, (4, 16, 64), _TWO, _WIDE, stride=2),
    "depthwise 7×7, 64": Layer((7, 7), _depthwise, (2, 14, 64), (7, 14, 28), _WIDE),
    "groups of 4, 64→64": Layer((3, 3), lambda n: (n, n, n // 4), (2, 14, 64), (7, 14, 28), _WIDE),
    "4 groups, 64→64": Layer(
        (3, 3), lambda n: (n, n, 4), (2, 14, 64), (7, 14, 28), (16, 32, 64, 128, 256)
    ),
    "transposed 4×4 stride 2, 64→32": Layer(
        (4, 4), lambda n: (n, n // 2, 1), (4, 8, 64), (4, 8, 16, 32), _WIDE, up=2
    ),
    "5 taps, 64→64": Layer((5,), _dense, (8, 256, 64), (64, 128, 256, 512, 1024), _WIDE),
    "3×3×3, 32→32": Layer((3, 3, 3), _dense, (2, 8, 32), (4, 8, 16), (8, 16, 32, 64, 128)),
}


def point_name(layer: str, axis: str, number: int) -> str:
    """The name under which a point is measured and saved."""
    return f"{layer} / {axis} {number}"


def _points() -> dict[str, Point]:
    return {
        point_name(name, axis, number): point
        for name, layer in LAYERS.items()
        for axis, series in layer.series().items()
        for number, point in series.items()
    }


POINTS = _points()


class Measurement(NamedTuple):
    """One point of a series: the number that is doubled, the work, and the timings."""

    number: int
    multiply_adds: int
    timings: Mapping[str, Timing]

    def ms(self, who: str) -> float:
        """The median of a contestant."""
        return self.timings[who].median_ms


def measured_series(results: Mapping[str, Result]) -> dict[str, dict[str, list[Measurement]]]:
    """By layer and axis, the points that were measured, from few to many."""
    found: dict[str, dict[str, list[Measurement]]] = {}
    for name, layer in LAYERS.items():
        for axis, series in layer.series().items():
            points = [
                Measurement(
                    number, point.multiply_adds, backward(results[point_name(name, axis, number)])
                )
                for number, point in series.items()
                if point_name(name, axis, number) in results
            ]
            if points:
                found.setdefault(name, {})[axis] = points
    return found


class Inversion(NamedTuple):
    """Less work that takes longer than more work, beyond the noise of both.

    Attributes:
        layer: of `LAYERS`.
        axis: of `AXES`.
        who: "ours" or "autodiff".
        less: the number of the point that takes longer.
        more: that of the larger point, the quickest of all that are larger.
        less_ms: the time of the former.
        more_ms: of the latter.
    """

    layer: str
    axis: str
    who: str
    less: int
    more: int
    less_ms: float
    more_ms: float

    def __str__(self) -> str:
        return (
            f"{self.layer}: {self.axis} {self.less} takes {digits(self.less_ms)} ms,"
            f" {self.more} takes {digits(self.more_ms)} ms"
        )


def inversions(results: Mapping[str, Result], who: str = "ours") -> list[Inversion]:
    """All of them, those that differ most first."""
    found = [
        Inversion(name, axis, who, less.number, more.number, less.ms(who), more.ms(who))
        for name, axes in measured_series(results).items()
        for axis, points in axes.items()
        for less, more in _pairs(points, who)
    ]
    return sorted(found, key=lambda one: one.more_ms / one.less_ms)


def _pairs(points: list[Measurement], who: str) -> Iterable[tuple[Measurement, Measurement]]:
    for place, less in enumerate(points[:-1]):
        more = min(points[place + 1 :], key=lambda point: point.ms(who))
        allowed = 1 + noise(less.timings) + noise(more.timings)
        if less.ms(who) > allowed * more.ms(who):
            yield less, more
