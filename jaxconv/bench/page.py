"""Write docs/benchmarks.md from the saved measurements."""

import statistics
from collections.abc import Iterable, Sequence

from jaxconv.bench.charts import OVERVIEW, ROWS, growth_name, label
from jaxconv.bench.contestants import PYTORCH, Result, noise
from jaxconv.bench.convolution import KINDS
from jaxconv.bench.geometries import GEOMETRIES, PAPERS
from jaxconv.bench.growth import inversions
from jaxconv.bench.machine import Machine
from jaxconv.bench.report import NONE
from jaxconv.bench.saved import Saved
from jaxconv.bench.summary import Compared, backward, compared, digits, mean_faster, slower

# The page says that a case gains nothing below LITTLE times faster, and that it gains from MUCH on.
LITTLE, MUCH = 1.1, 1.5
SHOWN = 6  # the page lists at most this many inversions

_HEAD = f"""\
# Benchmarks

This page shows how long the ops and whole training steps of this library take, compared with JAX's
own gradient of the reference implementation ("autodiff") and with PyTorch if it was installed. It
is rendered from the files in `benchmarks/`, one for each machine and version of JAX.

```sh
python scripts/bench.py                    # the ops and the training steps
python scripts/bench.py --functions        # networks of other libraries, with by_hand
python scripts/bench.py --geometries       # {len(GEOMETRIES)} convolutions of {len(PAPERS)} well-known networks
python scripts/bench.py --growth           # growing batches, sizes and channels
python scripts/bench.py --against HEAD~1   # this checkout against another folder or commit
python scripts/bench.py --render           # this page
```

`--save` saves the measurements to the file of this machine, and `--only TEXT …` selects cases by
their names. The contestants (ours, autodiff, PyTorch) take turns in one process, in a different
order in each round. Each turn makes two calls, of which the second counts. A figure is the median
of all rounds. One contestant takes part twice; the difference between its two times is the noise.
Unless a line says otherwise, a figure is the time of forward + backward, or of one step of plain
SGD, in float32 with the compiler's default options. Older and more detailed measurements are
[in the lab](lab/README.md).
"""  # noqa: E501

_KNOWN = """\
## Convolutions of well-known networks

These are layers from the papers of networks from LeNet-5 to ConvNeXt. Each is one call of
`conv_general_dilated` as Flax makes it; `jaxconv/bench/geometries.py` lists them with their
sources.

"""

_FUNCTIONS = """\
## Functions of other libraries

These were not written for this library: networks as users of Flax and Equinox write them, and four
reports of slow gradients to JAX's developers, some with fewer examples or channels. The gradient is
that of the function as it is ("autodiff") and of `jaxconv.by_hand(function)` ("ours"). Their code
is in `jaxconv/bench/by_hand.py`.

"""

_GAINS = """\
## When you gain, and when you do not

You gain where autodiff needs an operation for which XLA has no fast code: on a CPU these are the
gradients of depthwise, grouped and transposed convolutions, and of pooling. You do not gain where
XLA computes both gradients in the same way: this holds for plain convolutions on a GPU and, with a
newer JAX, also for most dense ones on a CPU. The list sorts the ops and training steps of
`scripts/bench.py`; the numbers in brackets say how many times faster than autodiff they are:

"""

_PRICE = """\
## What it costs: compile time, and memory

A fast form makes a larger program, which takes longer to compile. The temporary memory is what the
compiled step needs in addition to its arguments and results.

"""

_GROWTH = """\
## How time grows

The batch, the size of the images and the channels of a layer are doubled from step to step. If a
larger layer takes less time, by more than the noise of both, its fast form should begin at a
smaller size.

"""


def text(files: Sequence[Saved]) -> str:
    """Return the text of the page."""
    parts = [_HEAD]
    if not files:
        parts.append("No measurements have been saved yet.\n")
    else:
        parts += [
            f"![Times faster than autodiff, by op and by network]({OVERVIEW})\n",
            "## Ops and training steps\n",
            *(_ops(machine, group) for machine, group in _by_machine(files)),
            *(_functions(machine, group) for machine, group in _by_machine(files)),
            _known(files),
            _gains(files),
            _price(files),
            _growth(files),
            _sources(files),
        ]
    return "\n".join(part for part in parts if part)


def _by_machine(files: Sequence[Saved]) -> list[tuple[Machine, list[Saved]]]:
    machines = dict.fromkeys(saved.machine for saved in files)
    return [(machine, [s for s in files if s.machine == machine]) for machine in machines]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """Return a table in Markdown; the first `words` columns hold words, the others numbers."""
    lines = [
        f"| {' | '.join(head)} |",
        "|" + "---|" * words + "---:|" * (len(head) - words),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _steps(saved: Saved) -> dict[str, Result]:
    return saved.results("ops") | saved.results("networks")


def _ops(machine: Machine, files: Sequence[Saved]) -> str:
    """Return a machine's table of ops and steps."""
    table = _times(ROWS, [(saved, _steps(saved)) for saved in files])
    return f"{machine}:\n\n{table}" if table else ""


def _functions(machine: Machine, files: Sequence[Saved]) -> str:
    """Return a machine's table of functions of other libraries."""
    found = [(saved, saved.results("functions")) for saved in files]
    names = dict.fromkeys(name for _, results in found for name in results)
    table = _times(list(names), found)
    return f"{_FUNCTIONS}{machine}:\n\n{table}" if table else ""


def _times(names: Sequence[str], files: Sequence[tuple[Saved, dict[str, Result]]]) -> str:
    """Return a table: ours, autodiff and their ratio for each JAX, then PyTorch."""
    head = ["ms"]
    for saved, _ in files:
        head += [f"ours, JAX {saved.jax}", "autodiff", "times faster"]
    rows = []
    for name in names:
        cells, torch = [name], NONE
        for _, results in files:
            timings = backward(results[name]) if name in results else None
            if timings is None:
                cells += [NONE] * 3
                continue
            ours, autodiff = timings["ours"].median_ms, timings["autodiff"].median_ms
            cells += [digits(ours), digits(autodiff), f"{autodiff / ours:.2f}"]
            torch = digits(timings[PYTORCH].median_ms) if PYTORCH in timings else torch
        if cells[1:] != [NONE] * (3 * len(files)):
            rows.append([*cells, torch])
    return _table([*head, PYTORCH], rows) if rows else ""


def _known(files: Sequence[Saved]) -> str:
    columns = [(saved, compared(saved.results("geometries"))) for saved in files]
    columns = [(saved, rows) for saved, rows in columns if rows]
    if not columns:
        return ""
    head = ["times faster than autodiff", *(label(saved, files) for saved, _ in columns)]
    lines = [
        ["convolutions", *(str(len(rows)) for _, rows in columns)],
        ["geometric mean", *(f"{mean_faster(rows):.2f}" for _, rows in columns)],
        ["median", *(f"{statistics.median(r.faster for r in rows):.2f}" for _, rows in columns)],
        ["slower than autodiff", *(str(len(slower(rows))) for _, rows in columns)],
    ]
    for kind in KINDS:
        cells = [_mean_of_kind(rows, kind) for _, rows in columns]
        if any(cell != NONE for cell in cells):
            lines.append([f"{kind}, geometric mean", *cells])
    late = [
        [row.name, _geometry(row), label(saved, files), digits(row.new_ms), digits(row.old_ms),
         f"{row.faster:.2f}", f"{row.noise:.0%}"]
        for saved, rows in columns
        for row in slower(rows)
    ]  # fmt: skip
    said = "None of them is slower than autodiff beyond the noise.\n"
    if late:
        head_late = ["slower than autodiff", "layer", "with", "ours, ms", "autodiff, ms",
                     "times faster", "noise"]  # fmt: skip
        table = _table(head_late, late, words=3)
        said = f"These are slower than autodiff by more than the noise:\n\n{table}"
    return f"{_KNOWN}{_table(head, lines)}\n{said}"


def _mean_of_kind(rows: Sequence[Compared], kind: str) -> str:
    of_kind = [row for row in rows if row.name in GEOMETRIES and GEOMETRIES[row.name].kind == kind]
    return f"{mean_faster(of_kind):.2f}" if of_kind else NONE


def _geometry(row: Compared) -> str:
    return str(GEOMETRIES[row.name]) if row.name in GEOMETRIES else NONE


def _gains(files: Sequence[Saved]) -> str:
    """Return, for each file, which cases gain and which do not."""
    lines = []
    for saved in files:
        rows = compared(_steps(saved))
        if not rows:
            continue
        gains = sorted((r for r in rows if r.faster >= MUCH), key=lambda r: -r.faster)
        level = [r for r in rows if r.faster < LITTLE and not r.is_slower]
        kinds = {
            f"at least {MUCH:g} times faster": gains,
            f"less than {LITTLE:g} times faster": level,
            "slower beyond the noise": slower(rows),
        }
        said = [f"{kind}: {_named(found)}" for kind, found in kinds.items() if found]
        lines.append(f"- {label(saved, files)}: {'; '.join(said)}.\n")
    return f"{_GAINS}{''.join(lines)}" if lines else ""


def _two(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def _named(rows: Sequence[Compared]) -> str:
    return ", ".join(f"{row.name} ({_two(row.faster)})" for row in rows)


def _price(files: Sequence[Saved]) -> str:
    """Return the table of compile times and temporary memory of the networks."""
    measured = [(saved, saved.results("networks")) for saved in files]
    measured = [(saved, results) for saved, results in measured if results]
    names = dict.fromkeys(name for _, results in measured for name in results)
    head = ["ours / autodiff"]
    for saved, _ in measured:
        head += [f"seconds to compile, {label(saved, files)}", "temporary MB"]
    rows = [
        [name, *(cell for _, results in measured for cell in _price_of(results.get(name)))]
        for name in names
    ]
    return f"{_PRICE}{_table(head, rows)}" if rows else ""


def _price_of(result: Result | None) -> list[str]:
    if result is None:
        return [NONE, NONE]
    pair = [backward(result)[who] for who in ("ours", "autodiff")]
    seconds = [NONE if t.compile_s is None else f"{t.compile_s:.2f}" for t in pair]
    held = [NONE if t.temporary_bytes is None else digits(t.temporary_bytes / 1e6) for t in pair]
    return [" / ".join(seconds), " / ".join(held)]


def _growth(files: Sequence[Saved]) -> str:
    parts = [_growth_of(saved, files) for saved in files if saved.results("growth")]
    return _GROWTH + "\n".join(parts) if parts else ""


def _growth_of(saved: Saved, files: Sequence[Saved]) -> str:
    results = saved.results("growth")
    ours, autodiff = inversions(results), inversions(results, "autodiff")
    items = [str(hole) for hole in ours[:SHOWN]]
    if len(ours) > SHOWN:
        items.append(f"and {len(ours) - SHOWN} more, which are marked in the chart")
    said = (
        f"{label(saved, files)} ([chart]({growth_name(saved)})): of {len(results)} points,"
        f" {_number(len(ours))} of ours and {_number(len(autodiff))} of autodiff's take longer than"
        " a larger one.\n"
    )
    return said + "".join(["\n", *(f"- {item}\n" for item in items)] if items else [])


def _number(count: int) -> str:
    return str(count) if count else "none"


def _sources(files: Sequence[Saved]) -> str:
    lines = []
    for saved in files:
        runs = list(saved.runs.values())
        days = sorted({run.date.partition(" ")[0] for run in runs})
        when = " to ".join(dict.fromkeys((days[0], days[-1])))
        versions = dict.fromkeys(
            f"{name} {version}" for run in runs for name, version in run.versions.items()
        )
        commits = ", ".join(sorted({run.commit for run in runs if run.commit})) or "not known"
        lines.append(
            f"- {saved.machine}: {', '.join(versions)}; {when}; commit {commits};"
            f" median noise {_noise(saved):.0%}.\n"
        )
    return f"## Where the figures are from\n\n{''.join(lines)}"


def _noise(saved: Saved) -> float:
    return statistics.median(
        noise(backward(case.result)) for cases in saved.sections.values() for case in cases.values()
    )
