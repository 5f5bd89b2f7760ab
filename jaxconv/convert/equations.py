"""Which array of ours is which one of PyTorch's: our name = their name, and the layouts."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxconv.convert.layouts import COUNT, DENSE, KERNEL, OVER_PLACES, SAME, Layout
from jaxconv.convert.names import Names
from jaxconv.models import Variables
from jaxconv.models.leaves import STATE, by_name

LEAVES = {
    "w": "weight",
    "b": "bias",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
    "batches": "num_batches_tracked",
}
"""The arrays of a layer: our name and PyTorch's."""

Arrays = Mapping[str, np.ndarray]


class Equation(NamedTuple):
    """One array: its name here and in a file, its layouts, and how it is in the file.

    Attributes:
        shape: its shape in the file.
        counts: whether it is a whole number.
    """

    ours: str
    theirs: str
    layout: Layout
    shape: tuple[int, ...]
    counts: bool


Equations = list[Equation]


def equations(like: Variables, names: Names | None) -> Equations:
    """Return an equation for each array of a network.

    Args:
        like: the shapes and dtypes of the network.
        names: those of its layers in the file; None means a file with our names and layouts.
    """
    return [_equation(name, leaf, names) for name, leaf in by_name(like).items()]


def to_ours(all_of_them: Equations, leaves: Arrays) -> dict[str, np.ndarray]:
    """Return the arrays of a file with our names and layouts."""
    return {each.ours: each.layout.ours(leaves[each.theirs]) for each in all_of_them}


def to_theirs(all_of_them: Equations, leaves: Arrays) -> dict[str, np.ndarray]:
    """Return arrays of ours with the names and layouts of a file."""
    return {each.theirs: each.layout.theirs(leaves[each.ours]) for each in all_of_them}


def _equation(name: str, leaf: Any, names: Names | None) -> Equation:
    counts = np.issubdtype(leaf.dtype, np.integer)
    if names is None:
        return Equation(name, name, SAME, leaf.shape, counts)
    theirs = _theirs(name.removeprefix(STATE), names)
    layout = _layout(theirs, len(leaf.shape))
    empty = np.broadcast_to(np.zeros((), np.int32), leaf.shape)  # takes no memory
    return Equation(name, theirs, layout, layout.theirs(empty).shape, counts)


def _theirs(name: str, names: Names) -> str:
    if name in names:
        return names[name]
    layer, _, leaf = name.rpartition(".")
    return f"{names[layer]}.{LEAVES[leaf]}"


def _layout(theirs: str, axes: int) -> Layout:
    *_, leaf = theirs.split(".")
    if leaf == "layer_scale":
        return OVER_PLACES
    if leaf == "num_batches_tracked":
        return COUNT
    return {4: KERNEL, 2: DENSE}.get(axes, SAME)
