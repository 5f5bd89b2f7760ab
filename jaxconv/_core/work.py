"""The work of a function: the multiply-adds of its contractions, and the bytes that they move."""

import math
from typing import Any, NamedTuple

import jax

from jaxconv._core.jaxprs import equations
from jaxconv._core.types import Function


class Work(NamedTuple):
    """The least work of an operation."""

    multiply_adds: int
    bytes: int


def array_bytes(tree: object) -> int:
    """Return the bytes of all arrays in a tree, or of arrays with these shapes and dtypes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def contractions(function: Function, *args: object) -> list[Work]:
    """Return the work of each convolution and matrix product of a function, in order.

    Each reads its two operands and writes its result. Windows at the border count as full, and the
    zeros that an input dilation inserts do not count. A loop's body counts once.
    """
    jaxpr = jax.make_jaxpr(function)(*args)
    return [
        Work(_multiply_adds(eqn), array_bytes([v.aval for v in (*eqn.invars, *eqn.outvars)]))
        for eqn in equations(jaxpr)
        if eqn.primitive.name in ("conv_general_dilated", "dot_general")
    ]


def _multiply_adds(eqn: Any) -> int:
    (x, w), y = (v.aval.shape for v in eqn.invars), eqn.outvars[0].aval.shape
    if eqn.primitive.name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        return math.prod(y) * math.prod(x[axis] for axis in contracted)
    numbers = eqn.params["dimension_numbers"]
    spread = math.prod(eqn.params["lhs_dilation"]) > 1
    places, spec = (x, numbers.lhs_spec) if spread else (y, numbers.out_spec)
    batch = y[numbers.out_spec[0]]
    return batch * math.prod(places[axis] for axis in spec[2:]) * math.prod(w)
