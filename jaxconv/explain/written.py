"""`terms`: one element of an op's output or gradient as a written-out sum."""

import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from jaxconv.explain.arrays import read_arrays
from jaxconv.explain.axes import check_count
from jaxconv.explain.batch_norm import batch_norm
from jaxconv.explain.convolutions import conv, conv_transpose, dense
from jaxconv.explain.entry import Arrays, Entry
from jaxconv.explain.layer import Layer
from jaxconv.explain.notation import Notation, read_letters
from jaxconv.explain.pooling import avg_pool, lp_pool, max_pool, min_pool
from jaxconv.explain.softmax_cross_entropy import softmax_cross_entropy
from jaxconv.explain.sums import Sum

_MAKERS = (
    conv, conv_transpose, dense, max_pool, min_pool, avg_pool, lp_pool, batch_norm,
    softmax_cross_entropy,
)  # fmt: skip
MOST_ELEMENTS = 100_000
"""The most elements that are written out at once."""
OPS: dict[str, Callable[..., Layer]] = {maker.__name__: maker for maker in _MAKERS}


def terms(
    op: str,
    *,
    of: str,
    one_based: bool = False,
    names: str | Sequence[str] | None = None,
    arrays: Mapping[str, ArrayLike] | None = None,
    **geometry: Any,
) -> Sum:
    """Write out one element of an op's output or gradient as a sum.

        dx[q] = Σ dy[i] · w[a]      over the windows i that read position q, with offset a

    The loss of a network changes with x[q] through every window that reads it. Which windows these
    are follows from the geometry alone, so no arrays are needed.

    Example:
        >>> print(terms("conv", input=(3, 3), kernel=(2, 2), padding="VALID", of="dx[0,1]"))
        dx[0,1] = dy[0,0]·w[0,1] + dy[0,1]·w[0,0]
        >>> post = {"names": "X,W,Z", "one_based": True}
        >>> print(terms("conv", input=(3, 3), kernel=2, padding="VALID", of="dX[1,2]", **post))
        dX[1,2] = dZ[1,1]·W[1,2] + dZ[1,2]·W[1,1]

    Args:
        op: the name of the op: conv, conv_transpose, dense, max_pool, min_pool, avg_pool, lp_pool,
            batch_norm or softmax_cross_entropy.
        of: the element, such as "y[0,0]", "dx[1,2]", "dw[0,1]" or "db[0]". Its indices are in the
            order of the array's axes. Axes of size 1 that are not spatial may be left out, and are
            not written.
        one_based: whether indices count from 1, as in mathematics, here and in what is written.
        names: letters or words for the input, the parameter and the output, and maybe the bias:
            "X,W,Z". Their gradients have a d in front. Two names are for input and output.
        arrays: numbers by name. A max or min pool with its "x" is written with the windows that it
            wins; other sums do not depend on them.
        geometry: the arguments of the op that are no arrays, under their names, and the sizes:
            `input` and `kernel` (for a pool `window`), one int per spatial dimension; `batch`;
            `channels_in` and `channels_out` (a pool and a batch norm have `channels`, a dense layer
            `inputs` and `outputs`, a loss `classes`), which are 1 unless given; and `bias=True` for
            a y with its bias. conv also has `input_dilation`, and its padding may be negative.

    Returns:
        The sum, with `str()`, `latex()`, `terms`, `evaluate(arrays)` and `with_numbers(arrays)`.

    Raises:
        TypeError: an argument has a wrong type, or an argument of the op is missing or unknown.
        ValueError: an argument has a value that the op does not take, there is no such element, or
            the sum has more than a million products.
    """
    layer = make_layer(op, geometry)
    notation = make_notation(layer, one_based, names)
    entry = notation.parse(of, layer.elements)
    return make_sum(layer, notation, entry, read_arrays(notation, arrays) if arrays else None)


def all_terms(
    op: str,
    *,
    of: str | None = None,
    one_based: bool = False,
    names: str | Sequence[str] | None = None,
    arrays: Mapping[str, ArrayLike] | None = None,
    **geometry: Any,
) -> Iterator[Sum]:
    """Write out every element of an array, in the order of its axes.

    Example:
        >>> for sum in all_terms("conv", input=3, kernel=2, padding="VALID", of="dx"):
        ...     print(sum)
        dx[0] = dy[0]·w[0]
        dx[1] = dy[0]·w[1] + dy[1]·w[0]
        dx[2] = dy[1]·w[1]

    Args:
        op: as in `terms`.
        of: the name of an array, such as "dx"; None means the output and all gradients.
        one_based: as in `terms`.
        names: as in `terms`.
        arrays: as in `terms`.
        geometry: as in `terms`.

    Returns:
        An iterator over the sums.

    Raises:
        TypeError: as in `terms`.
        ValueError: as in `terms`, or the arrays have more than 100,000 elements.
    """
    layer = make_layer(op, geometry)
    notation = make_notation(layer, one_based, names)
    chosen = layer.elements
    if of is not None:
        chosen = [name for name in layer.elements if notation.name(str(of).strip()) == name]
        if not chosen:
            known = ", ".join(map(notation.letter, layer.elements))
            raise ValueError(f"{op}: of must be one of {known}, but got {of!r}")
    shapes = {name: notation.shape(name).sizes for name in chosen}
    count = sum(map(math.prod, shapes.values()))
    check_count("elements", count, MOST_ELEMENTS)
    read = read_arrays(notation, arrays) if arrays else None
    return (
        make_sum(layer, notation, Entry(name, index), read)
        for name, sizes in shapes.items()
        for index in itertools.product(*map(range, sizes))
    )


def make_layer(op: str, geometry: Mapping[str, Any]) -> Layer:
    """Return the op with these sizes and options.

    Raises:
        TypeError: an argument has a wrong type, is missing or is unknown.
        ValueError: the op is unknown, or an argument has a value that it does not take.
    """
    if op not in OPS:
        raise ValueError(f"explain: op must be one of {', '.join(OPS)}, but got {op!r}")
    parameters = inspect.signature(OPS[op]).parameters
    for name in geometry:
        if name not in parameters:
            raise TypeError(f"{op}: the arguments are {', '.join(parameters)}, but got {name!r}")
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in geometry:
            raise TypeError(f"{op}: the argument {name} is missing")
    return OPS[op](**geometry)


def make_notation(layer: Layer, one_based: bool, names: str | Sequence[str] | None) -> Notation:
    """Return how the elements of a layer are named."""
    letters = read_letters(layer.op, names, layer.roles, tuple(layer.shapes))
    letters = {**layer.symbols(letters), **letters}
    return Notation(layer.op, layer.shapes, letters, int(one_based))


def make_sum(layer: Layer, notation: Notation, entry: Entry, arrays: Arrays | None = None) -> Sum:
    """Return the sum of one element."""
    return Sum(layer, notation, entry, layer.parts(entry, arrays))
