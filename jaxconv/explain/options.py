"""The arguments of the command line that are the arguments of ops: sizes, padding, numbers."""

import argparse
import re
from typing import Any, get_args

import numpy as np

from jaxconv._core.arguments import Layout, PaddingMode, Reduction, Ties
from jaxconv._core.geometry import PADDING_NAMES

_SIZES = {
    "input": "sizes of the spatial dimensions, such as 5x5, or 5 for a signal",
    "kernel": "sizes of the kernel, or one for all dimensions",
    "window": "sizes of the window of a pool, or one",
    "stride": "distance between neighbouring windows",
    "dilation": "distance between neighbouring elements of a window",
    "input_dilation": "distance between neighbouring elements of the input, for conv",
    "output_padding": "positions added at the end of y, for conv_transpose",
}
_COUNTS = {
    "groups": "channel groups",
    "batch": "examples",
    "channels_in": "channels of x, for conv and conv_transpose",
    "channels_out": "channels of y, likewise",
    "channels": "channels, for pools and batch_norm",
    "inputs": "numbers that go into a dense layer",
    "outputs": "numbers that come out of it",
    "classes": "classes, for softmax_cross_entropy",
}
_NUMBERS = {
    "divisor": "number to divide by instead of the count, for avg_pool",
    "p": "power, for lp_pool",
    "eps": "ε, for batch_norm",
}
_CHOICES: dict[str, tuple[Any, str]] = {
    "layout": (Layout, "which axis holds the channels"),
    "padding_mode": (PaddingMode, "what the padding of a conv is filled with"),
    "ties": (Ties, "which of several largest values get the gradient"),
    "reduction": (Reduction, "what becomes of the losses of the examples"),
}
_SWITCHES = {
    "flip_kernel": "true convolution, with the kernel turned by 180°",
    "ceil_mode": "round the output size of a pool up",
    "bias": "write y with its bias",
}


def add_geometry(parser: argparse.ArgumentParser) -> tuple[str, ...]:
    """Add the arguments of the ops to a parser, and return their names; None means not given."""
    group = parser.add_argument_group(
        "arguments of the op", "sizes have an x between them: one per spatial dimension"
    )
    names = []

    def add(name: str, text: str, **how: Any) -> None:
        group.add_argument("--" + name.replace("_", "-"), default=None, help=text, **how)
        names.append(name)

    for name, text in _SIZES.items():
        add(name, text, type=sizes, metavar="SIZES")
    add(
        "padding",
        f"{', '.join(PADDING_NAMES)}, a number, 1x2 for one per dimension, or 0:1x1:2 for low:high"
        " (with a minus in front: --padding=-1)",
        type=padding,
    )
    for name, text in _COUNTS.items():
        add(name, text, type=int, metavar="N")
    for name, text in _NUMBERS.items():
        add(name, text, type=float, metavar="X")
    for name, (options, text) in _CHOICES.items():
        add(name, text, choices=get_args(options))
    for name, text in _SWITCHES.items():
        add(name, text, action="store_const", const=True)
    add(
        "count_include_pad",
        "count the zeros of the padding in a mean (the default), or not",
        action=argparse.BooleanOptionalAction,
    )
    return tuple(names)


def sizes(text: str) -> int | tuple[int, ...]:
    """Return "5x3" as (5, 3), and "5" as 5."""
    if not re.fullmatch(r"-?\d{1,18}(x-?\d{1,18})*", text):
        raise argparse.ArgumentTypeError(
            f"must be whole numbers with x between them, such as 3x3, but got {text!r}"
        )
    numbers = tuple(map(int, text.split("x")))
    return numbers if len(numbers) > 1 else numbers[0]


def padding(text: str) -> str | int | tuple[int, ...] | tuple[tuple[int, ...], ...]:
    """Return a name as it is, and "1", "1x2" or "0:1x1:2" as numbers or pairs."""
    if text.replace("_", "").isalpha():
        return text
    if ":" not in text:
        return sizes(text)
    parts = [part.split(":") for part in text.split("x")]
    if not all(re.fullmatch(r"-?\d{1,18}", number) for part in parts for number in part):
        raise argparse.ArgumentTypeError(
            f"must be a name, numbers such as 1x1, or pairs such as 0:1x1:2, but got {text!r}"
        )
    return tuple(tuple(map(int, part)) for part in parts)


def array(text: str) -> tuple[str, np.ndarray]:
    """Return "x=1 2; 3 4" as a name and an array."""
    name, equals, values = text.partition("=")
    rows = [row.replace(",", " ").split() for row in values.split(";")]
    try:
        table = np.array([[float(number) for number in row] for row in rows])
    except ValueError:
        table = np.array(())
    if not equals or not table.size:
        raise argparse.ArgumentTypeError(
            f"must be a name and numbers, such as 'x=1 2; 3 4', but got {text!r}"
        )
    return name.strip(), table if len(rows) > 1 else table[0]
