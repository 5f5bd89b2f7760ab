"""Another function in place of a step: a comparison, a sign, a function that looks alike."""

from collections.abc import Iterator
from functools import partial

import jax
import numpy as np

from jaxconv.check.arrays import Arrays
from jaxconv.check.diagnosis.repair.edits.place import (
    Edit,
    Known,
    Place,
    called,
    read,
    with_operand,
)
from jaxconv.check.diagnosis.repair.in_numpy import STEPS, Operation
from jaxconv.check.diagnosis.repair.program import Step, Value

COMPARISONS = ("gt", "ge", "lt", "le", "eq", "ne")
_ALIKE = (
    ("sin", "cos"), ("tan", "tanh"), ("exp", "exp2", "expm1"), ("log", "log1p"), ("sinh", "cosh"),
    ("sqrt", "rsqrt"), ("floor", "ceil", "round"), ("max", "min"), ("add", "sub"), ("mul", "div"),
    ("and", "or", "xor"), ("logistic", "tanh", "erf"),
)  # fmt: skip
_FUNCTIONS: dict[str, Operation] = STEPS | {
    "tan": np.tan, "sinh": np.sinh, "cosh": np.cosh, "round": np.round, "xor": np.bitwise_xor,
    "erf": lambda x: np.asarray(jax.lax.erf(x)),
}  # fmt: skip
_SIGNS = {
    "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!=", "add": "+", "sub": "−",
    "mul": "·", "div": "/",
}  # fmt: skip


def other_function(place: Place) -> Iterator[Edit]:
    """Compute another function of the operands."""
    name = place.step.name
    for group in (COMPARISONS, *_ALIKE):
        for other in group if name in group else ():
            if other == name:
                continue
            mistake = (
                "mask_threshold" if group is COMPARISONS
                else "wrong_sign" if name in ("add", "sub")
                else "other_derivative"
            )  # fmt: skip
            here, there = (_SIGNS.get(n, n) for n in (name, other))
            yield Edit(mistake, f"{there} is used instead of {here}", called(_FUNCTIONS[other]))
    if name in COMPARISONS:
        for by in (-1, 1):
            words = f"the right side of {_SIGNS[name]} is {'larger' if by > 0 else 'smaller'} by 1"
            yield Edit("mask_threshold", words, with_operand(1, partial(plus, 1, by)))


def plus(position: int, by: float, operands: Arrays) -> Value:
    """Return one operand plus a number."""
    return operands[position] + by


def _both(kept: int, new: int, operands: Arrays) -> Value:
    return operands[kept] + operands[new]


def added(place: Place) -> Iterator[Edit]:
    """Add where numbers are set, in an array or by a mask."""
    if place.step.name == "scatter":
        yield Edit("last_window_only", "numbers are added (.at[…].add) and not set", _added)
    if place.step.name == "select_n" and len(place.step.inputs) == 3:
        for kept, new in ((1, 2), (2, 1)):
            yield Edit("last_window_only", "numbers are added where they replace others",
                       with_operand(new, partial(_both, kept, new)))  # fmt: skip


def _added(step: Step, known: Known) -> list[Value]:
    operand, indices, updates = read(step, known)
    numbers, mode = step.params["dimension_numbers"], step.params["mode"]
    return [np.asarray(jax.lax.scatter_add(operand, indices, updates, numbers, mode=mode))]
