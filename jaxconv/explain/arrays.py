"""The numbers that a sum is evaluated on."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from jaxconv._core.geometry import Ints
from jaxconv.explain.notation import Notation


def read_arrays(notation: Notation, given: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    """Return the arrays in float64 and in their full shape, by the library's names.

    The user may call them by his own letters, and leave out axes of size 1.

    Raises:
        ValueError: a name is unknown, or an array has another shape than the layer's.
    """
    arrays = {}
    for called, value in given.items():
        name = notation.name(called)
        if name not in notation.shapes and name[1:] not in notation.shapes:
            known = ", ".join(map(notation.letter, notation.shapes))
            raise ValueError(
                f"{notation.op}: arrays must be among {known} and their gradients (with a d in"
                f" front), but got {called!r}"
            )
        arrays[name] = _in_full(notation, name, np.asarray(value, np.float64))
    return arrays


def _in_full(notation: Notation, name: str, array: np.ndarray) -> np.ndarray:
    sizes = notation.shape(name).sizes
    if _without_ones(array.shape) != _without_ones(sizes):
        raise ValueError(
            f"{notation.op}: {notation.letter(name)} must have shape {sizes} (axes of size 1 may be"
            f" left out), but its shape is {array.shape}"
        )
    return array.reshape(sizes)


def _without_ones(shape: Ints) -> Ints:
    return tuple(size for size in shape if size != 1)
