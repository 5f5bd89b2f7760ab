"""What many rows come to: how much faster than autodiff, on average, and where slower."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jaxconv.bench.contestants import Result, Timing, noise

Results = Mapping[str, Result]


def digits(value: float) -> str:
    """Three of them, and all that stand before the point."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


class Compared(NamedTuple):
    """One case, forward + backward or a whole step: a new way beside an old one.

    Attributes:
        name: of the case.
        new_ms: the median of the new way: ours, or this checkout.
        old_ms: of the old way: autodiff with default options, or the other checkout.
        noise: how far a contestant was from itself: in this case, or in half of the cases that
            were measured with it, whichever is more.
        same: whether XLA made one and the same program of both.
    """

    name: str
    new_ms: float
    old_ms: float
    noise: float
    same: bool = False

    @property
    def faster(self) -> float:
        """The old time / the new one."""
        return self.old_ms / self.new_ms

    @property
    def is_slower(self) -> bool:
        """Whether the new way takes longer by more than the noise."""
        return not self.same and self.new_ms > self.old_ms * (1 + self.noise)


def backward(result: Result) -> Mapping[str, Timing]:
    """The timings with the backward pass: those of the last direction."""
    return list(result.timings.values())[-1]


def compared(results: Results) -> list[Compared]:
    """Ours beside autodiff in all cases, in order."""
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
    """Those that are slower beyond the noise, the slowest first."""
    return sorted((row for row in rows if row.is_slower), key=lambda row: row.faster)


def mean_faster(rows: Iterable[Compared]) -> float:
    """The geometric mean of the old time / the new one."""
    return statistics.geometric_mean(row.faster for row in rows)


def conclusion(rows: Sequence[Compared], new: str = "ours", old: str = "autodiff") -> str:
    """All of it in a few lines of text."""
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
