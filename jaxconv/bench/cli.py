"""The command line of the benchmark: `python -m jaxconv.bench --help`."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxconv._core.command import Parser, count, new_file
from jaxconv._core.extras import MissingExtraError, needs
from jaxconv._core.files import write_text
from jaxconv._core.types import Json

SAVED = Path("benchmarks")
DOCS = Path("docs")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, compare or render, as the arguments say (`sys.argv` if None).

    The exit status is 1 if a case failed, 2 for bad usage and 130 if interrupted.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.render:
            _render(parser)
        elif options.against is not None:
            _compare(parser, options)
        else:
            _measure(parser, options)
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        sys.exit(130)


def _parser() -> Parser:
    parser = Parser(
        prog="python -m jaxconv.bench",
        description="Time each op and each training step: our gradient, autodiff of the reference"
        " implementation, both compiled again with jaxconv.compiler_options(), and PyTorch if it is"
        " installed. They take turns; the median time of each is reported.",
        epilog="docs/benchmarks.md has the results; docs/lab/columns.md explains the columns.",
        allow_abbrev=False,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--functions",
        action="store_true",
        help="time functions of other libraries instead, as they are and with jaxconv.by_hand",
    )
    what.add_argument(
        "--geometries",
        action="store_true",
        help="time convolutions of well-known networks instead, with default options",
    )
    what.add_argument(
        "--growth",
        action="store_true",
        help="time convolutions of growing batches, sizes and channels instead",
    )
    what.add_argument(
        "--catalogue",
        action="store_true",
        help="time every op of the catalogue instead, without PyTorch; with --batches 32 the"
        " arrays are about as large as in the default cases",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="TEXT", help="only cases whose name contains one of these"
    )
    parser.add_argument(
        "--rounds",
        type=count(1),
        default=9,
        metavar="N",
        help="the least number of timed calls of each (default: 9)",
    )
    parser.add_argument(
        "--batches",
        type=count(1),
        default=1,
        metavar="N",
        help="use N times as many images or rows, to fill a GPU (default: 1)",
    )
    parser.add_argument("--device", metavar="NAME", help="cpu, gpu or tpu (default: JAX's default)")
    parser.add_argument(
        "--threads", type=count(1), metavar="N", help="number of threads that PyTorch uses"
    )
    parser.add_argument(
        "--save",
        action="store_true",
        help=f"save each case to this machine's file in {SAVED}/ as soon as it is measured",
    )
    parser.add_argument(
        "--markdown", type=new_file, metavar="FILE", help="also write the table to FILE"
    )
    parser.add_argument(
        "--against",
        metavar="OTHER",
        help="compare this checkout with another one, given as a folder or a commit",
    )
    parser.add_argument(
        "--render",
        action="store_true",
        help=f"measure nothing; write {DOCS}/benchmarks.md and its charts from {SAVED}/",
    )
    return parser


def _measure(parser: Parser, options: argparse.Namespace) -> None:
    import jax

    import jaxconv
    from jaxconv.bench import report
    from jaxconv.bench.contestants import measure
    from jaxconv.bench.floors import measured_ceilings, size_for
    from jaxconv.bench.machine import this_machine, this_run
    from jaxconv.bench.saved import save
    from jaxconv.check.console import Progress, show_table

    chosen = _chosen(parser, options)
    device = _device(parser, options.device)
    _set_threads(parser, options.threads)
    if options.save:
        SAVED.mkdir(exist_ok=True)
    results, failures = {}, []
    with jax.default_device(device), Progress(len(chosen)) as progress:
        platform = device.platform
        ceilings = measured_ceilings(jaxconv.compiler_options(platform), size_for(platform))
        machine, run = this_machine(device), this_run(options.rounds, options.batches, ceilings)
        progress.step(f"{machine}; {run}")
        for case in chosen:
            subject = case.subject.of_batches(options.batches)
            try:
                result = measure(subject, options.rounds, platform, ceilings, case.contestants)
            except Exception as error:  # one failed case must not stop a run of an hour
                failures.append(
                    f"{case.name}: {type(error).__name__}: {str(error).splitlines()[0]}"
                )
                progress.step(failures[-1])
                continue
            results[case.name] = result
            for row in report.rows({case.name: result}):
                progress.step(" | ".join(row))
            if options.save:
                save(SAVED, machine, run, case.section, case.name, result)
    show_table(f"Medians of {options.rounds} rounds or more", report.HEADINGS, report.rows(results))
    if results:
        print(f"\n{_conclusion(options, results)}")
    if options.markdown is not None:
        write_text(options.markdown, report.markdown(results, machine, run))
    if failures:
        print("\n".join(["", "Failed:", *failures]), file=sys.stderr)
        sys.exit(1)


def _conclusion(options: argparse.Namespace, results: Json) -> str:
    """Summarize the results."""
    from jaxconv.bench import growth, summary

    if not options.growth:
        return summary.conclusion(summary.compared(results))
    found = growth.inversions(results)
    return "\n  ".join([f"Less work that takes longer than more: {len(found)}.", *map(str, found)])


def _compare(parser: Parser, options: argparse.Namespace) -> None:
    from jaxconv.bench import against
    from jaxconv.check.console import Progress, show_table

    ignored = {
        "--save": options.save,
        "--markdown": options.markdown is not None,
        "--batches": options.batches != 1,
        "--threads": options.threads is not None,
    }
    for flag, given in ignored.items():
        if given:
            parser.error(f"--against: not allowed with {flag}")
    chosen = _chosen(parser, options)
    rows = []
    try:
        with against.checkout(options.against) as other, Progress(len(chosen)) as progress:
            for case in chosen:
                rows.append(against.compare(case, other, options.rounds, options.device))
                progress.step(" | ".join(against.cells(rows[-1])))
    except against.ComparisonError as error:
        parser.error(f"--against: {error}")
    show_table(
        f"Medians of {options.rounds} rounds or more",
        against.HEADINGS,
        [against.cells(row) for row in rows],
    )
    print(f"\n{against.conclusion(rows)}")


def _render(parser: Parser) -> None:
    from jaxconv.bench import charts, page
    from jaxconv.bench.saved import read_all

    if not DOCS.is_dir():
        parser.error(f"--render: there is no folder {DOCS} here; run it where the repository is")
    _needs_matplotlib(parser, "--render")
    try:
        files = read_all(SAVED)
    except ValueError as error:
        parser.error(f"--render: {error}")
    charts.draw(files, DOCS)
    write_text(DOCS / "benchmarks.md", page.text(files))


def _chosen(parser: Parser, options: argparse.Namespace) -> list[Any]:
    from jaxconv.bench.sections import cases_of

    sections = "catalogue", "functions", "geometries", "growth"
    named = [name for name in sections if getattr(options, name)]
    cases = cases_of(*(named or ("ops", "networks")))
    for text in options.only or ():
        if not any(text in case.name for case in cases):
            names = ", ".join(case.name for case in cases)
            parser.error(f"--only: no name has {text!r} in it; there are {names}")
    return [
        case
        for case in cases
        if options.only is None or any(text in case.name for text in options.only)
    ]


def _device(parser: Parser, name: str | None) -> Any:
    """Return the first device of this name."""
    import jax

    try:
        return jax.devices(name)[0]
    except RuntimeError:
        parser.error(f"--device: JAX finds no {name!r} here; it has {jax.default_backend()}")


def _set_threads(parser: Parser, threads: int | None) -> None:
    if threads is None:
        return
    try:
        torch: ModuleType = importlib.import_module("torch")
    except ImportError:
        parser.error("--threads: PyTorch is not installed")
    torch.set_num_threads(threads)


def _needs_matplotlib(parser: Parser, flag: str) -> None:
    try:
        with needs("train"):
            importlib.import_module("matplotlib")
    except MissingExtraError as error:
        parser.error(f"{flag}: {error}")
