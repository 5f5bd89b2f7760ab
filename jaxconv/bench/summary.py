"""What many rows come to: how much faster than autodiff, on average, and where slower."""

import statistics
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jaxconv.bench.contestants import Result, Timing, noise

Results = Mapping[str, Result]


class Compared(NamedTuple):
    """One case, forward + backward or a whole step: ours beside autodiff, default options.

    Attributes:
        name: of the case.
        ours_ms: the median.
        autodiff_ms: the median.
        noise: how far a contestant was from itself: in this case, or in half of the cases that
            were measured with it, whichever is more.
        same: whether XLA made one and the same program of both.
    """

    name: str
    ours_ms: float
    autodiff_ms: float
    noise: float
    same: bool = False

    @property
    def faster(self) -> float:
        """Autodiff's time / ours."""
        return self.autodiff_ms / self.ours_ms

    @property
    def is_slower(self) -> bool:
        """Whether ours takes longer than autodiff by more than the noise."""
        return not self.same and self.ours_ms > self.autodiff_ms * (1 + self.noise)


def backward(result: Result) -> Mapping[str, Timing]:
    """The timings with the backward pass: those of the last direction."""
    return list(result.timings.values())[-1]


def compared(results: Results) -> list[Compared]:
    """All cases, in order."""
    if not results:
        return []
    usual = statistics.median(noise(backward(result)) for result in results.values())
    return [_compared(name, backward(result), usual) for name, result in results.items()]


def _compared(name: str, timings: Mapping[str, Timing], usual: float) -> Compared:
    ours, autodiff = timings["ours"], timings["autodiff"]
    return Compared(
        name,
        ours.median_ms,
        autodiff.median_ms,
        max(noise(timings), usual),
        same=ours.program is not None and ours.program == autodiff.program,
    )


def slower(rows: Iterable[Compared]) -> list[Compared]:
    """Those that are slower than autodiff beyond the noise, the slowest first."""
    return sorted((row for row in rows if row.is_slower), key=lambda row: row.faster)


def mean_faster(rows: Iterable[Compared]) -> float:
    """The geometric mean of autodiff's time / ours."""
    return statistics.geometric_mean(row.faster for row in rows)


def conclusion(rows: list[Compared]) -> str:
    """All of it in a few lines of text."""
    late = slower(rows)
    lines = [
        f"Forward + backward of {len(rows)} cases, autodiff's time / ours: geometric mean"
        f" {mean_faster(rows):.2f}, median {statistics.median(row.faster for row in rows):.2f},"
        f" smallest {min(row.faster for row in rows):.2f};"
        f" {len(late)} slower than autodiff beyond the noise."
    ]
    lines += (
        f"  {row.name}: {row.ours_ms:.3g} ms, autodiff {row.autodiff_ms:.3g} ms"
        f" ({row.faster:.2f}, noise {row.noise:.0%})"
        for row in late
    )
    return "\n".join(lines)
