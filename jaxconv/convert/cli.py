"""The command line: read, rename, write, and report an error in one line."""

from collections.abc import Sequence
from pathlib import Path

from jaxconv._core import tensors
from jaxconv._core.command import Parser, new_file
from jaxconv._core.extras import MissingExtraError
from jaxconv.convert.arrays import read, written
from jaxconv.convert.names import LIBRARIES, NETWORKS, Library
from jaxconv.convert.recognized import OURS, Recognized, whose


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the arrays of a file with other names; None means the arguments of the process."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        found = read(options.model, tensors.read(options.source), str(options.source))
        names = _target(options.model, found, options.names)
        leaves = found.leaves if names is None else written(options.model, found, names)
        tensors.write(options.target, leaves)
    except OSError as error:
        parser.error(f"{error.filename or options.source}: {error.strerror or error}")
    except (ValueError, MissingExtraError) as error:
        parser.error(str(error))
    print(
        f"{options.target} has the {len(leaves)} arrays of {options.model}, for"
        f" {found.classes:,} classes, with {whose(names or OURS)} names"
    )


def _parser() -> Parser:
    parser = Parser(
        prog="jaxconv.convert",
        description="Convert the parameters and the state of a network from our names and layouts"
        " to those of PyTorch, or back. The names in FROM tell in which direction.",
    )
    add = parser.add_argument
    add("source", type=Path, metavar="FROM", help="a safetensors file: ours, or a state_dict")
    add("target", type=new_file, metavar="TO", help="the safetensors file to write")
    add("--model", required=True, metavar="NAME", help=f"the network: {', '.join(NETWORKS)}")
    add("--names", choices=LIBRARIES, help="whose names PyTorch's file has (default: torchvision)")
    return parser


def _target(model: str, found: Recognized, names: Library | None) -> Library | None:
    """Return whose names are to be written; None means ours.

    Raises:
        ValueError: the file has the names of another library than the user thinks.
    """
    if found.source == OURS:
        return names or "torchvision"
    if names and NETWORKS[model][names] != NETWORKS[model][found.source]:
        raise ValueError(f"FROM has {whose(found.source)} names, not {whose(names)}")
    return None
