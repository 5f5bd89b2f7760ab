"""Summaries of many cases: the mean speed-up over autodiff, and the cases that are slower."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jaxconv.bench.contestants import Result, Timing, noise

Results = Mapping[str, Result]


def digits(value: float) -> str:
    """Format a number with three significant digits, or as an integer from 1000 on."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


class Compared(NamedTuple):
    """One case, forward + backward or a whole step: the time of a new way and of an old one.

    Attributes:
        name: the name of the case.
        new_ms: the median time in ms of the new way: ours, or this checkout.
        old_ms: the median time in ms of the old way: autodiff with default options, or the other
            checkout.
        noise: the noise of this case or the median noise of all cases, whichever is larger.
        same: whether XLA compiled both to the same program.
    """

    name: str
    new_ms: float
    old_ms: float
    noise: float
    same: bool = False

    @property
    def faster(self) -> float:
        """The old time divided by the new one."""
        return self.old_ms / self.new_ms

    @property
    def is_slower(self) -> bool:
        """Whether the new way takes longer by more than the noise."""
        return not self.same and self.new_ms > self.old_ms * (1 + self.noise)


def backward(result: Result) -> Mapping[str, Timing]:
    """Return the timings with the backward pass, which are those of the last direction."""
    return list(result.timings.values())[-1]


def compared(results: Results) -> list[Compared]:
    """Compare ours with autodiff in all cases, in order."""
    cases = {name: backward(result) for name, result in results.items()}
    if not cases:
        return []
    usual = statistics.median(noise(timings) for timings in cases.values())
    return [_compared(name, timings, usual) for name, timings in cases.items()]


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
    """Return the cases that are slower by more than the noise, the slowest first."""
    return sorted((row for row in rows if row.is_slower), key=lambda row: row.faster)


def mean_faster(rows: Iterable[Compared]) -> float:
    """Return the geometric mean of the old time divided by the new one."""
    return statistics.geometric_mean(row.faster for row in rows)


def conclusion(rows: Sequence[Compared], new: str = "ours", old: str = "autodiff") -> str:
    """Summarize all cases in a few lines of text."""
    late = slower(rows)
    lines = [
        f"Time of {old} / {new} in {len(rows)} cases: geometric mean {mean_faster(rows):.2f},"
        f" median {statistics.median(row.faster for row in rows):.2f},"
        f" smallest {min(row.faster for row in rows):.2f}."
        f" Slower than {old} beyond the noise: {len(late) or 'none'}."
    ]
    lines += (
        f"  {row.name}: {new} {digits(row.new_ms)} ms, {old} {digits(row.old_ms)} ms"
        f" ({row.faster:.2f}, noise {row.noise:.0%})"
        for row in late
    )
    return "\n".join(lines)
