"""The table: on the terminal, as Markdown, JSON or a picture, and the machine it comes from."""

import importlib.metadata
import os
import platform
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxconv
from jaxconv.bench import pytorch
from jaxconv.bench.contestants import AGAIN, Result, Timing
from jaxconv.bench.floors import Ceilings
from jaxconv.extras import needs
from jaxconv.files import replacing

COLUMNS = ("ours", "autodiff", "ours + options", "autodiff + options", "PyTorch")
HEADINGS = (
    "ms", *COLUMNS, "faster", "with options", "noise", "floor", "× floor", "compile",
    "temporary MB", "residuals MB",
)  # fmt: skip
NONE = "–"

Results = Mapping[str, Result]


class About(NamedTuple):
    """What the numbers come from."""

    processor: str
    cores: int
    device: str
    versions: dict[str, str]
    torch_threads: int | None
    rounds: int
    batches: int
    ceilings: Ceilings

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        threads = "" if self.torch_threads is None else f" (PyTorch: {self.torch_threads} threads)"
        batches = "" if self.batches == 1 else f", {self.batches} times as many examples"
        return (
            f"{self.processor}, {self.cores} cores{threads}, device {self.device}; float32; "
            f"{versions}; medians of {self.rounds} rounds or more{batches}. Ceilings: "
            f"{self.ceilings.multiply_adds / 1e9:.3g} G multiply-adds/s, "
            f"{self.ceilings.bytes / 1e9:.3g} GB/s; a call of nothing "
            f"{1e3 * self.ceilings.call_s:.2g} ms."
        )


def about(device: jax.Device, rounds: int, batches: int, ceilings: Ceilings) -> About:
    """This machine, this process."""
    versions = {"Python": platform.python_version(), "jaxconv": jaxconv.__version__}
    for name, package in (("JAX", "jax"), ("jaxlib", "jaxlib"), ("Flax", "flax")):
        try:
            versions[name] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    threads = None
    if pytorch.is_installed():
        torch: Any = importlib.import_module("torch")
        versions["PyTorch"], threads = torch.__version__, torch.get_num_threads()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    kind = device.device_kind
    return About(_processor(), cores or 1, kind, versions, threads, rounds, batches, ceilings)


def _processor() -> str:
    """The model, as the system knows it."""
    known = Path("/proc/cpuinfo")
    for line in known.read_text().splitlines() if known.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def noise(timings: Mapping[str, Timing]) -> float:
    """How far autodiff is from itself."""
    return abs(timings[AGAIN].median_ms / timings["autodiff"].median_ms - 1)


def noises(results: Results) -> dict[str, float]:
    """Of all contests, in the middle and at worst."""
    found = [noise(timings) for result in results.values() for timings in result.timings.values()]
    return {"median": statistics.median(found), "largest": max(found)}


def rows(results: Results) -> list[list[str]]:
    """The table: times in ms, then what they come to."""
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
        *(f"{ms[who]:.3g}" if who in ms else NONE for who in COLUMNS),
        faster,
        with_options,
        f"{noise(timings):.0%}",
        f"{floor:.2g}",
        f"{min(ms['ours'], ms.get('ours + options', ms['ours'])) / floor:.1f}",
        compiling,
        _megabytes(ours.temporary_bytes, autodiff.temporary_bytes),
        _megabytes(*(result.residual_bytes.get(who) for who in ("ours", "autodiff"))),
    ]


def _megabytes(*values: int | None) -> str:
    """Ours / autodiff's."""
    return " / ".join(NONE if value is None else f"{value / 1e6:.3g}" for value in values)


def markdown(results: Results, source: About) -> str:
    """What it was measured on, and the table, as a page of the documentation shows it."""
    found = noises(results)
    lines = [
        f"{source} Noise: {found['median']:.0%} in the middle, {found['largest']:.0%} at most.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        "|---|" + "---:|" * (len(HEADINGS) - 1),
        *(f"| {' | '.join(row)} |" for row in rows(results)),
    ]
    return "\n".join(lines) + "\n"


def document(results: Results, source: About) -> dict[str, Any]:
    """Everything, for machines."""
    return {
        "about": source._asdict() | {"ceilings": source.ceilings._asdict()},
        "noise": noises(results),
        "results": {
            name: {
                "residual_bytes": result.residual_bytes,
                "floor_ms": result.floor_ms,
                **{
                    direction: {who: _plain(timing) for who, timing in timings.items()}
                    for direction, timings in result.timings.items()
                },
            }
            for name, result in results.items()
        },
    }


def _plain(timing: Timing) -> dict[str, Any]:
    return {
        "median_ms": timing.median_ms,
        "compile_s": timing.compile_s,
        "temporary_bytes": timing.temporary_bytes,
        "program": timing.program,
        "seconds": timing.seconds,
    }


def plot(results: Results, path: Path) -> None:
    """How many times faster than autodiff each is, in the last direction, as bars from 1."""
    with needs("train"):
        import matplotlib

        matplotlib.use("agg")
        from matplotlib import pyplot

    shown = [who for who in COLUMNS if who != "autodiff"]
    figure, axes = pyplot.subplots(figsize=(9, 0.5 * len(results) + 1.5), layout="constrained")
    places = np.arange(len(results))[::-1]
    for number, who in enumerate(shown):
        times = [_faster(list(result.timings.values())[-1], who) for result in results.values()]
        axes.barh(places + 0.3 - 0.2 * number, np.subtract(times, 1), 0.2, left=1, label=who)
    axes.axvline(1, color="black", linewidth=1)
    axes.set(xscale="log", yticks=places, yticklabels=results)
    axes.set_xlabel("times faster than autodiff: forward + backward, or a step")
    axes.xaxis.set_major_formatter("{x:g}")
    figure.legend(loc="outside lower center", ncols=len(shown))
    with replacing(path) as beside:
        figure.savefig(beside, dpi=150)
    pyplot.close(figure)


def _faster(timings: Mapping[str, Timing], who: str) -> float:
    """Than autodiff; NaN if it did not take part."""
    if who not in timings:
        return float("nan")
    return timings["autodiff"].median_ms / timings[who].median_ms
