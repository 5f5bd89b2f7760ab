"""How the time of convolutions grows with the batch, the size of an image, and the channels.

Each form of a convolution has one layer here with three series; in each series one number is
doubled from step to step. If more work takes less time, the smaller layer should have used another
form; `inversions` finds these cases.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

from jaxconv.bench.contestants import Result, Timing, noise
from jaxconv.bench.convolution import Convolution, Padding
from jaxconv.bench.summary import backward, digits

AXES = ("batch", "size", "channels")
BATCHES = tuple(2**n for n in range(9))


class Point(Convolution):
    """One step of a series; its residual bytes are not measured."""

    def residual_bytes(self, ops: ModuleType) -> None:
        """Return None: measuring would need one more compilation."""

    @property
    def multiply_adds(self) -> int:
        """The multiply-adds of the forward pass, with "SAME" padding and full border windows."""
        stride = self.stride if isinstance(self.stride, int) else math.prod(self.stride)
        places = math.prod(-(-n // stride) for n in self.size)
        kernel = math.prod(self.window) * self.c_in // self.groups * self.c_out
        return self.batch * places * kernel


@dataclass(frozen=True)
class Layer:
    """The layer that represents a form.

    Attributes:
        window: the size of the kernel, one int per spatial dimension.
        channels: returns (c_in, c_out, groups) for the number that is doubled.
        base: batch, size and channels of the point that the three series share.
        sizes: the sizes in the series of sizes, used for every dimension.
        widths: the numbers in the series of channels.
        stride, padding, up: the attributes of `Convolution` with these names.
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
        """Return the layer with this batch, size and number of channels."""
        c_in, c_out, groups = self.channels(width)
        return Point(
            batch, (size,) * len(self.window), self.window, c_in, c_out, self.stride, self.padding,
            groups=groups, up=self.up,
        )  # fmt: skip

    def series(self) -> dict[str, dict[int, Point]]:
        """Return the points of each axis, by the number that is doubled."""
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
    """Return the name under which a point is measured and saved."""
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
        """Return the median time of a contestant in ms."""
        return self.timings[who].median_ms


def measured_series(results: Mapping[str, Result]) -> dict[str, dict[str, list[Measurement]]]:
    """Return the measured points by layer and axis, each in ascending order."""
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
    """A point that takes longer than one with more work, by more than the noise of both.

    Attributes:
        layer: the name of the layer in `LAYERS`.
        axis: the number that is doubled, one of `AXES`.
        who: the contestant, "ours" or "autodiff".
        less: the number of the point with less work, which takes longer.
        more: the number of the quickest point with more work.
        less_ms: the time of the point with less work, in ms.
        more_ms: the time of the point with more work, in ms.
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
    """Return all inversions, the one with the largest ratio of times first."""
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
