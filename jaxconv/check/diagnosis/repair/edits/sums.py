"""Sums and means over other axes, where the summed axes are kept with the size 1."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from jaxconv.check.diagnosis.numbers import axis_words
from jaxconv.check.diagnosis.repair.edits.place import Edit, Known, Place
from jaxconv.check.diagnosis.repair.program import Program, Step, Value


def other_axes(place: Place) -> Iterator[Edit]:
    """Sum or average over other axes; the mean divides by their number of elements."""
    program, axes = place.program, summed_axes(place)
    if axes is None:
        return
    ndim = place.y.ndim
    for count in range(1, ndim + 1):
        for other in itertools.combinations(range(ndim), count):
            if other != axes:

                def outputs(step: Step, known: Known, axes: tuple[int, ...] = other) -> list[Value]:
                    return [_over(program, step, known, axes)]

                yield Edit("wrong_axis", f"the sum or mean runs over {axis_words(other)}", outputs)


def summed_axes(place: Place) -> tuple[int, ...] | None:
    """Return the axes of a sum or mean with kept axes, if this step is its last one."""
    sum_of = _sum_of(place.program, place.step)
    if sum_of is None:
        return None
    x, axes = place.values[sum_of.inputs[0]], tuple(sum_of.params["axes"])
    kept = tuple(1 if i in axes else size for i, size in enumerate(x.shape))
    is_mean = place.step.name == "div"
    if place.y.shape != kept or (is_mean and place.operands[1].size != 1):
        return None
    return axes


def _sum_of(program: Program, step: Step) -> Step | None:
    """Return the reduction behind a step that keeps its axes, and perhaps divides."""
    spread = program.makers.get(step.inputs[0]) if step.name == "div" else step
    if spread is None or spread.name not in ("broadcast_in_dim", "reshape"):
        return None
    total = program.makers.get(spread.inputs[0])
    is_reduction = total is not None and total.name in ("reduce_sum", "reduce_max")
    return total if is_reduction else None


def _over(program: Program, step: Step, known: Known, axes: tuple[int, ...]) -> np.ndarray:
    total = _sum_of(program, step)
    assert total is not None
    x = known[total.inputs[0]]
    reduce = np.max if total.name == "reduce_max" else np.sum
    reduced = reduce(x, axis=axes, keepdims=True)
    return reduced / math.prod(x.shape[i] for i in axes) if step.name == "div" else reduced
