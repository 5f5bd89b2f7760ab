"""The command line of the gradient checker: `python -m jaxconv.check --help`."""

import argparse
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar

from jaxconv._core.command import Parser, count, new_file
from jaxconv._core.files import write_json

FLOATS = ("float64", "float32", "bfloat16", "float16")
T = TypeVar("T")
R = TypeVar("R")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the checks that the arguments ask for (`sys.argv` if None), then exit.

    The exit status is 0 if all checks passed, 1 if one failed, 2 for bad usage, 130 if interrupted.
    """
    options = _parsed(arguments)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        if options.missing:
            sys.exit(_missing(options))
        if options.random is not None:
            sys.exit(_random(options))
        sys.exit(_mutants(options) if options.mutants else _trials(options))
    except KeyboardInterrupt:
        print("check: interrupted", file=sys.stderr)
        sys.exit(130)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; exit with bad usage if one of them has no effect in the chosen mode."""
    parser = _parser()
    options = parser.parse_args(arguments)
    idle = []
    if options.mutants:
        mode, idle = "--mutants", ["seed", "samples", "dtypes", "costs"]
    elif options.missing:
        mode, idle = "--missing", ["seed", "samples", "dtypes", "costs", "json", "jobs"]
    elif options.random is not None:
        mode, idle = "--random", ["samples", "dtypes", "costs"]
    for name in idle:
        if getattr(options, name) is not parser.get_default(name):
            parser.error(f"argument --{name}: not allowed with argument {mode}")
    return options


def _parser() -> Parser:
    parser = Parser(
        prog="python -m jaxconv.check",
        description="Check gradients against autodiff of a reference implementation, against"
        " central differences and for linearity in the cotangent, then again under jit, vmap,"
        " scan, checkpoint and a second derivative.",
        epilog="Exit status: 0 all checks passed, 1 a check failed, 2 bad usage.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="OP | module:attribute",
        help="ops of the catalogue, or a Case of your own (or a list of them); default: all ops",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--mutants",
        action="store_true",
        help="break every rule in many ways, and count how many breaks are caught and named; with"
        " the target `forms`, break every fast form of a convolution instead (`forms NAME`:"
        " only the form with this name)",
    )
    instead.add_argument(
        "--random",
        type=count(1),
        metavar="N",
        help="draw N calls whose gradient is right, of ops and of functions of JAX, optax and"
        " Flax, in any dtype, and count how many are reported as wrong",
    )
    instead.add_argument(
        "--missing",
        action="store_true",
        help="for each op named, print every place from which it is still absent: rule, reference"
        " implementation, catalogue, pages",
    )
    parser.add_argument(
        "--costs", action="store_true", help="also print what the rule and the reference cost"
    )
    parser.add_argument(
        "--json", type=new_file, metavar="FILE", help="also write the reports to FILE"
    )
    parser.add_argument(
        "--seed",
        type=count(0),
        metavar="N",
        help="number of the first sample of each op; for a Case, seed of its cotangents; with"
        " --random, seed of the draw",
    )
    parser.add_argument(
        "--samples",
        type=count(1),
        metavar="N",
        help="how many samples (for a Case: seeds) to check, counted from --seed",
    )
    parser.add_argument(
        "--dtypes",
        type=_dtypes,
        metavar="NAMES",
        help="dtypes to check besides float64, separated by commas (default for ops:"
        " float32,bfloat16; the dtype of a Case's arguments is always checked)",
    )
    parser.add_argument(
        "-j", "--jobs", type=count(1), default=1, metavar="N", help="worker processes (default: 1)"
    )
    return parser


def _dtypes(text: str) -> tuple[str, ...]:
    for name in text.split(","):
        if name not in FLOATS:
            raise argparse.ArgumentTypeError(
                f"must be of {', '.join(FLOATS)}, with commas, but got {text!r}"
            )
    return tuple(dict.fromkeys(text.split(",")))


def _trials(options: argparse.Namespace) -> int:
    from jaxconv.check.console import Progress
    from jaxconv.check.jobs import UsageError, do, jobs_for

    try:
        jobs = jobs_for(
            options.targets, options.seed, options.samples, options.dtypes, options.costs
        )
    except UsageError as error:
        _stop(error)
    reports, unusable = [], []
    with Progress(len(jobs)) as progress:
        for outcome in spread(do, jobs, options.jobs):
            report = outcome.report
            if report is None:
                unusable.append(outcome.usage)
                progress.step(f"{outcome.job.target}: cannot be tried")
                continue
            reports.append(report)
            took = f"  [{outcome.seconds:.1f} s]" if report.ok else ""
            progress.tell(report, f"{report}{took}")
    failed = [report for report in reports if not report.ok]
    print(f"{len(reports) - len(failed)} of {len(reports)} hold")
    if options.json is not None:
        document = {
            "ok": not failed and not unusable,
            "reports": [report.to_dict() for report in reports],
            "unusable": unusable,
        }
        write_json(options.json, document)
    if unusable:
        _stop("; ".join(dict.fromkeys(unusable)))
    return 1 if failed else 0


def _random(options: argparse.Namespace) -> int:
    from jaxconv.check.chance import shares, try_share
    from jaxconv.check.console import Progress
    from jaxconv.check.jobs import UsageError

    try:
        drawn = shares(options.targets, options.random, options.seed or 0)
    except UsageError as error:
        _stop(error)
    alarms: list[Any] = []
    tried = 0
    with Progress(len(drawn)) as progress:
        for tally in spread(try_share, drawn, options.jobs):
            tried += tally.tried
            alarms += tally.alarms
            progress.step("\n".join([tally.line, *map(str, tally.alarms)]))
    print(f"{tried:,} right calls drawn at random, {len(alarms)} called wrong")
    if options.json is not None:
        found = [report.to_dict() for report in alarms]
        write_json(options.json, {"ok": not alarms, "tried": tried, "alarms": found})
    return 1 if alarms else 0


def _missing(options: argparse.Namespace) -> int:
    from jaxconv.check.missing import DOCS, missing

    if not options.targets:
        _stop("--missing needs the name of an op")
    if not DOCS.is_dir():
        _stop(f"--missing needs a checkout of the repository, but there is no folder {DOCS}")
    found = [(name, line) for name in options.targets for line in missing(name)]
    for name, line in found:
        print(f"{name}: {line}")
    if not found:
        print(f"{', '.join(options.targets)}: nothing is missing")
    return 1 if found else 0


def _mutants(options: argparse.Namespace) -> int:
    from jaxconv.check.console import Progress
    from jaxconv.check.jobs import UsageError, ops_among
    from jaxconv.check.mutants import Matrix, try_op
    from jaxconv.check.mutants.matrix import line

    if options.targets[:1] == ["forms"]:
        return _mutants_of_forms(options)
    try:
        names = ops_among(options.targets)
    except UsageError as error:
        _stop(error)
    trials = []
    with Progress(len(names)) as progress:
        for found in spread(try_op, names, options.jobs):
            trials.append(found)
            progress.step(line(found))
    verdict = Matrix(trials)
    verdict.show()
    if options.json is not None:
        write_json(options.json, verdict.to_dict())
    return 0 if verdict.ok else 1


def _mutants_of_forms(options: argparse.Namespace) -> int:
    from jaxconv.check.console import Progress
    from jaxconv.check.mutants.forms import fast_forms, try_form

    names = options.targets[1:]
    known = [form.name for form in fast_forms()]
    for name in names:
        if name not in known:
            _stop(f"no form has the name {name!r}, but: {', '.join(dict.fromkeys(known))}")
    numbers = [number for number, name in enumerate(known) if not names or name in names]
    trials = []
    with Progress(len(numbers)) as progress:
        for trial in spread(try_form, numbers, options.jobs):
            trials.append(trial)
            progress.step(trial.line)
    if options.json is not None:
        write_json(options.json, {"forms": [trial.to_dict() for trial in trials]})
    return 1 if any(trial.survived for trial in trials) else 0


def spread(do: Callable[[T], R], jobs: Sequence[T], processes: int) -> Iterator[R]:
    """Yield the result of each job in order, computed by at most this many processes."""
    if processes == 1 or len(jobs) < 2:
        yield from map(do, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(processes, len(jobs)), _start_worker) as pool:
        yield from pool.imap(do, jobs)


def _start_worker() -> None:
    """Ignore interrupts in a worker: the parent process handles them and ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stop(why: object) -> NoReturn:
    print(f"check: {why}", file=sys.stderr)
    sys.exit(2)
