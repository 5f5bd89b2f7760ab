"""The table of a run, for the terminal and as Markdown."""

import statistics

from jaxconv.bench.contestants import Result, noise
from jaxconv.bench.machine import Machine, Run
from jaxconv.bench.summary import Results, digits

COLUMNS = ("ours", "autodiff", "ours + options", "autodiff + options", "PyTorch")
HEADINGS = (
    "ms", *COLUMNS, "faster", "with options", "noise", "floor", "× floor", "compile",
    "temporary MB", "residuals MB",
)  # fmt: skip
NONE = "–"


def noises(results: Results) -> dict[str, float]:
    """Return the median and the largest noise of all cases and directions."""
    found = [noise(timings) for result in results.values() for timings in result.timings.values()]
    return {"median": statistics.median(found), "largest": max(found)}


def rows(results: Results) -> list[list[str]]:
    """Return the rows of the table: times in ms, then figures derived from them."""
    return [
        _row(name if number == 0 else f"  + {_SAID[direction]}", result, direction)
        for name, result in results.items()
        for number, direction in enumerate(result.timings)
    ]


_SAID = {"both": "backward"}


def _row(label: str, result: Result, direction: str) -> list[str]:
    timings = result.timings[direction]
    ours, autodiff = timings["ours"], timings["autodiff"]
    ms = {who: timing.median_ms for who, timing in timings.items()}
    floor = result.floor_ms[direction]
    faster = f"{ms['autodiff'] / ms['ours']:.2f}"
    if ours.program is not None and ours.program == autodiff.program:
        faster += " ="
    with_options = NONE
    if "ours + options" in ms:
        best = min(ms["autodiff"], ms["autodiff + options"])
        with_options = f"{best / ms['ours + options']:.2f}"
    compiling = NONE
    if ours.compile_s is not None and autodiff.compile_s:
        compiling = f"{ours.compile_s / autodiff.compile_s:.1f}"
    return [
        label,
        *(digits(ms[who]) if who in ms else NONE for who in COLUMNS),
        faster,
        with_options,
        f"{noise(timings):.0%}",
        digits(float(f"{floor:.2g}")),
        f"{min(ms['ours'], ms.get('ours + options', ms['ours'])) / floor:.1f}",
        compiling,
        _megabytes(ours.temporary_bytes, autodiff.temporary_bytes),
        _megabytes(*(result.residual_bytes.get(who) for who in ("ours", "autodiff"))),
    ]


def _megabytes(*values: int | None) -> str:
    """Return megabytes of ours and of autodiff, separated by a slash."""
    return " / ".join(NONE if value is None else digits(value / 1e6) for value in values)


def markdown(results: Results, machine: Machine, run: Run) -> str:
    """Return machine, run, noise and table as Markdown."""
    found = noises(results)
    lines = [
        f"{machine}; {run} Noise: median {found['median']:.0%}, largest {found['largest']:.0%}.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        "|---|" + "---:|" * (len(HEADINGS) - 1),
        *(f"| {' | '.join(row)} |" for row in rows(results)),
    ]
    return "\n".join(lines) + "\n"
