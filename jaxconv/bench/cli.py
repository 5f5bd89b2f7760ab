"""The command line of the benchmark: `python -m jaxconv.bench --help`."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from jaxconv.command import Parser, count, new_file
from jaxconv.extras import MissingExtraError, needs
from jaxconv.files import write_json, write_text


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the arguments say (those of the process, if None).

    Exits with 2 for bad usage, 130 if interrupted.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        _run(parser, options)
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        sys.exit(130)


def _parser() -> Parser:
    parser = Parser(
        prog="python -m jaxconv.bench",
        description="How fast each op and each training step is: ours, autodiff of the twin, both"
        " again with jaxconv.compiler_options(), and PyTorch where it is installed. They take"
        " turns; the median is reported.",
        epilog="What the columns say: docs/benchmarks.md.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--only", nargs="+", metavar="TEXT", help="ops and networks whose name has one of these"
    )
    parser.add_argument(
        "--catalogue",
        action="store_true",
        help="every op there is instead, on its record's call, without PyTorch; with --batches 32"
        " its arrays are as large as the others'",
    )
    parser.add_argument(
        "--rounds",
        type=count(1),
        default=9,
        metavar="N",
        help="calls of each, at least (default: 9)",
    )
    parser.add_argument(
        "--batches",
        type=count(1),
        default=1,
        metavar="N",
        help="N times as many images or rows, to fill a GPU (default: 1)",
    )
    parser.add_argument("--device", metavar="NAME", help="cpu, gpu or tpu (default: JAX's)")
    parser.add_argument("--threads", type=count(1), metavar="N", help="threads of PyTorch")
    parser.add_argument("--json", type=new_file, metavar="FILE", help="write everything there, too")
    parser.add_argument(
        "--markdown", type=new_file, metavar="FILE", help="write the table there, too"
    )
    parser.add_argument(
        "--plot",
        type=new_file,
        metavar="FILE",
        help="draw how many times faster than autodiff each is",
    )
    return parser


def _run(parser: Parser, options: argparse.Namespace) -> None:
    import jax

    import jaxconv
    from jaxconv.bench import report
    from jaxconv.bench.contestants import measure
    from jaxconv.bench.floors import measured_ceilings, size_for
    from jaxconv.check.console import Progress, show_table

    chosen = _chosen(parser, options.only, options.catalogue)
    device = _device(parser, options.device)
    _set_threads(parser, options.threads)
    if options.plot is not None:
        _check_plot(parser)
    results = {}
    with jax.default_device(device), Progress(len(chosen)) as progress:
        platform = device.platform
        ceilings = measured_ceilings(jaxconv.compiler_options(platform), size_for(platform))
        source = report.about(device, options.rounds, options.batches, ceilings)
        progress.step(str(source))
        for name, subject in chosen.items():
            subject = subject.of_batches(options.batches)
            results[name] = measure(subject, options.rounds, platform, ceilings)
            for row in report.rows({name: results[name]}):
                progress.step(" | ".join(row))
    show_table(f"Medians of {options.rounds} rounds or more", report.HEADINGS, report.rows(results))
    if options.json is not None:
        write_json(options.json, report.document(results, source))
    if options.markdown is not None:
        write_text(options.markdown, report.markdown(results, source))
    if options.plot is not None:
        report.plot(results, options.plot)


def _chosen(parser: Parser, only: Sequence[str] | None, catalogue: bool) -> dict[str, Any]:
    subjects: dict[str, Any]
    if catalogue:
        from jaxconv.bench.catalogue import OPS

        subjects = dict(OPS)
    else:
        from jaxconv.bench.cases import CASES
        from jaxconv.bench.networks import NETWORKS

        subjects = {**CASES, **NETWORKS}
    for text in only or ():
        if not any(text in name for name in subjects):
            parser.error(f"--only: no name has {text!r} in it; there are {', '.join(subjects)}")
    return {
        name: subject
        for name, subject in subjects.items()
        if only is None or any(text in name for text in only)
    }


def _device(parser: Parser, name: str | None) -> Any:
    """The first of the devices of this name."""
    import jax

    try:
        return jax.devices(name)[0]
    except RuntimeError:
        parser.error(f"--device: JAX finds no {name!r} here; it has {jax.default_backend()}")


def _set_threads(parser: Parser, threads: int | None) -> None:
    if threads is None:
        return
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        parser.error("--threads: PyTorch is not installed")
    torch.set_num_threads(threads)


def _check_plot(parser: Parser) -> None:
    try:
        with needs("train"):
            importlib.import_module("matplotlib")
    except MissingExtraError as error:
        parser.error(f"--plot: {error}")
