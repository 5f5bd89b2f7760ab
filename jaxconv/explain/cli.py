"""The command line: `python -m jaxconv.explain --help`."""

import argparse
import os
import sys
import tempfile
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from jaxconv._core.command import Parser, new_file
from jaxconv._core.files import write_text
from jaxconv.explain.correlation import as_convolution
from jaxconv.explain.options import add_geometry, array
from jaxconv.explain.page import page
from jaxconv.explain.sums import Sum
from jaxconv.explain.svg import svg
from jaxconv.explain.written import OPS, all_terms, make_layer, make_notation, terms

_EXAMPLES = """\
examples:
  python -m jaxconv.explain conv --input 5x5 --kernel 3x3 --padding 1 --of 'dx[1,1]'
  python -m jaxconv.explain conv --input 3x3 --kernel 2 --padding 0 --names X,W,Z --one-based --all
  python -m jaxconv.explain conv --input 7 --kernel 3 --stride 2 --padding 0 --as-convolution
  python -m jaxconv.explain max_pool --input 2x4 --window 2 --all --numbers 'x=1 5 2 2; 3 0 9 4'
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what the arguments ask for (`sys.argv` if None); exit with 2 for bad usage."""
    parser = Parser(
        prog="jaxconv.explain",
        description="Write out an element of an op's output or gradient as a sum.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    names = add_geometry(parser)
    _add_outputs(parser)
    options = parser.parse_args(arguments)
    told = {name: value for name in names if (value := getattr(options, name)) is not None}
    told |= {"one_based": options.one_based, "names": options.names}
    try:
        _run(options, told)
    except BrokenPipeError:  # whoever reads the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}" if error.strerror else str(error))
    except (TypeError, ValueError) as error:
        parser.error(str(error).removeprefix("explain: "))


def _add_outputs(parser: Parser) -> None:
    add = parser.add_argument
    add("op", help=", ".join(OPS))
    add("--of", metavar="ELEMENT", help="'dx[1,2]', for example; the first one of dx if not given")
    add("--all", action="store_true", help="print every element; with --of dx, those of dx only")
    add("--one-based", action="store_true", help="count from 1, also in --of")
    add("--names", metavar="X,W,Z", help="letters for input, kernel, output and maybe the bias")
    add("--latex", action="store_true", help="LaTeX instead of text")
    add(
        "--numbers",
        type=array,
        action="append",
        default=[],
        metavar="'x=1 2; 3 4'",
        help="numbers of an array to put into the sum; give it once for each array",
    )
    add("--as-convolution", action="store_true", help="say which arrays are correlated")
    add("--svg", type=new_file, metavar="FILE", help="also draw the sum as SVG")
    add("--html", type=new_file, metavar="FILE", help="also write the interactive page as HTML")
    add("--open", action="store_true", help="show the interactive page in the browser")


def _run(options: argparse.Namespace, told: Mapping[str, Any]) -> None:
    if (options.all or options.as_convolution) and (options.svg or options.html or options.open):
        raise ValueError(
            "--svg, --html and --open show one element, so neither --all nor --as-convolution"
            " is expected"
        )
    if options.as_convolution:
        print("\n\n".join(map(str, as_convolution(options.op, of=options.of, **told))))
        return
    arrays = dict(options.numbers)
    if options.all:
        for each in all_terms(options.op, of=options.of, arrays=arrays or None, **told):
            print(_line(each, options.latex, arrays))
        return
    explained = terms(
        options.op, of=options.of or _first(options.op, told), arrays=arrays or None, **told
    )
    line = _line(explained, options.latex, arrays)
    if options.svg:
        write_text(options.svg, svg(explained))
    if options.html or options.open:
        _write_page(explained, options.html, options.open)
    print(line)


def _first(op: str, told: Mapping[str, Any]) -> str:
    """Return the name of the first element of the input's gradient, such as "dx[0,0]"."""
    geometry = {name: told[name] for name in told if name not in ("one_based", "names")}
    layer = make_layer(op, geometry)
    notation = make_notation(layer, told["one_based"], told["names"])
    return notation.example("d" + str(layer.roles[0]))


def _line(explained: Sum, latex: bool, arrays: Mapping[str, ArrayLike]) -> str:
    if latex:
        return explained.latex()
    only_chosen = explained.layer.chooses and len(arrays) == 1 and explained.element.array == "dx"
    return str(explained) if not arrays or only_chosen else explained.with_numbers(arrays)


def _write_page(explained: Sum, path: Path | None, show: bool) -> None:
    text = page(explained)
    if path is None:
        path = Path(tempfile.mkdtemp(prefix="jaxconv-")) / "explain.html"
    write_text(path, text)
    if show and not webbrowser.open(path.absolute().as_uri()):
        print(f"no browser was found; the page is {path}")
