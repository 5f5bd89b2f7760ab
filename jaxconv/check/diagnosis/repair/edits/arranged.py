"""A step left out, its sign changed, or its result arranged otherwise."""

import itertools
from collections.abc import Iterator
from functools import partial

import numpy as np

from jaxconv.check.diagnosis.numbers import axis_words
from jaxconv.check.diagnosis.repair.edits.place import Edit, Known, Place, then
from jaxconv.check.diagnosis.repair.program import Step, Value

_LEFT_OUT = {
    "mul": "a factor, {}, is left out",
    "div": "the divisor, {}, is left out",
    "add": "a term, {}, is left out",
    "sub": "a term, {}, is left out",
    "select_n": "the mask is left out",
}


def left_out(place: Place) -> Iterator[Edit]:
    """Return one of the operands instead of the output."""
    step = place.step
    for position, operand in enumerate(place.operands):
        if operand.shape == place.y.shape and operand.dtype == place.y.dtype:
            rest = [place.called(i) for n, i in enumerate(step.inputs) if n != position]
            words = _LEFT_OUT.get(step.name, f"{step.name} is left out").format(*rest)
            yield Edit(_mistake(place, position), words, partial(_operand, position))


def _operand(position: int, step: Step, known: Known) -> list[Value]:
    return [known[step.inputs[position]]]


def _mistake(place: Place, position: int) -> str:
    """Return the mistake of a step that should return one operand as it is."""
    step = place.step
    rest = [i for n, i in enumerate(step.inputs) if n != position]
    if step.name == "select_n":
        return "mask_threshold"
    if step.name == "transpose":
        return "axes_swapped"
    if step.name == "rev":
        return "spatially_flipped"
    if step.name == "mul" and any(place.program.argument_of(i) is not None for i in rest):
        return "parameter_changed"
    if step.name == "mul" and place.driven.issuperset(step.inputs):
        return "cotangent_squared"
    return "step_extra"


def negated(place: Place) -> Iterator[Edit]:
    """Change the sign of the output."""
    if place.is_real:
        words = f"the result of {place.step.name} has the other sign"
        yield Edit("wrong_sign", words, then(np.negative))


def zeroed(place: Place) -> Iterator[Edit]:
    """Take 0 for the output, so that a term is left out."""
    if not place.is_real:
        return
    before = place.program.ancestors(place.output).values()
    is_mean = place.output in place.driven and any(
        step.name == "reduce_sum" and place.driven.intersection(step.inputs) for step in before
    )
    mistake = "statistics_given" if is_mean and 1 in place.y.shape else "step_extra"
    yield Edit(mistake, f"the result of {place.step.name} is left out", then(np.zeros_like))


def arranged(place: Place) -> Iterator[Edit]:
    """Turn the output round along some axes, swap two axes of one size, or move it by one."""
    y = place.y
    if not 1 <= y.ndim <= 4 or y.dtype == bool:
        return
    for count in range(1, y.ndim + 1):
        for axes in itertools.combinations(range(y.ndim), count):
            words = f"its result is turned round along {axis_words(axes)}"
            yield Edit("spatially_flipped", words, then(partial(np.flip, axis=axes)))
    for a, b in itertools.combinations(range(y.ndim), 2):
        if y.shape[a] == y.shape[b]:
            words = f"the axes {a} and {b} of its result change places"
            yield Edit("axes_swapped", words, then(partial(np.swapaxes, axis1=a, axis2=b)))
    longer = [axis for axis, size in enumerate(y.shape) if size > 2]
    for axis, by in itertools.product(longer, (-1, 1)):
        words = f"its result is moved by {by:+d} along axis {axis}"
        yield Edit("shifted", words, then(partial(_moved, by=by, axis=axis)))


def _moved(y: np.ndarray, by: int, axis: int) -> np.ndarray:
    """Move by one place; a zero is put in at the end."""
    y = np.roll(y, by, axis)
    y[(slice(None),) * axis + (0 if by > 0 else -1,)] = 0
    return y
