"""Another value in place of an operand, or a number added to an argument."""

from collections.abc import Iterator
from functools import partial

from jaxconv.check.diagnosis.repair.edits.exchanged import COMPARISONS, plus
from jaxconv.check.diagnosis.repair.edits.place import Change, Edit, Known, Place, with_operand
from jaxconv.check.diagnosis.repair.masks import name_of, selected_by
from jaxconv.check.diagnosis.repair.program import Step, Value

SMALL = 0.05
"""A positive number below this that is added is taken for an epsilon."""

_LINEAR = ("mul", "div", "add", "sub", "broadcast_in_dim", "reshape", "transpose")

_PARTS = {"slice", "gather", "dynamic_slice"}


def other_operand(place: Place) -> Iterator[Edit]:
    """Read another value of the same shape and dtype instead of one operand."""
    step, values, driven = place.step, place.values, place.driven
    for position, i in enumerate(step.inputs):
        related = place.program.ancestors(i)
        candidates = sorted(place.earlier, key=lambda k: k not in related)
        for other in (*candidates, *place.constants):
            same = values[other].shape == values[i].shape and values[other].dtype == values[i].dtype
            # Without the cotangent the gradient would not depend on it.
            if other != i and same and not (i in driven and other not in driven):
                words = f"{step.name} reads {place.called(other)}"
                yield Edit(_mistake(place, i, other), words, _reading(position, other))


def _reading(position: int, other: int) -> Change:
    def outputs(step: Step, known: Known) -> list[Value]:
        numbers = list(step.inputs)
        numbers[position] = other
        return step.run([known[i] for i in numbers], step.params)

    return outputs


def _mistake(place: Place, got: int, right: int) -> str:
    """Return the mistake of a step that reads one value instead of the right one."""
    program, driven = place.program, place.driven
    if right in driven and got not in driven:
        return "cotangent_in_part" if _is_constant(place, got) else "cotangent_ignored"
    if place.step.name == "select_n" and place.values[got].dtype == bool:
        return name_of(program, got, place.values[got], place.values[right])
    here, there = selected_by(program, got), selected_by(program, right)
    if place.step.name == "select_n":
        here = place.step
    if there is not None and here is not there:
        if here is None:
            return "mask_missing"
        masks = [s.inputs[0] for s in (here, there)]
        wrong, correct = (place.values[i] for i in masks)
        if wrong.dtype == bool and wrong.shape == correct.shape:
            return name_of(program, masks[0], wrong, correct)
    if got in driven:
        before = program.ancestors(got)
        names = {step.name for step in before.values()}
        if got not in program.results and (right in before or right in program.inputs):
            if names & _PARTS:
                return "cotangent_in_part"
            if "reduce_sum" in names:
                return "statistics_given"
        return "wrong_operand"
    if place.step.name in COMPARISONS:
        return "mask_threshold"
    if got in program.known or right in program.known:
        return "wrong_operand"
    ours, theirs = _sources(place, got), _sources(place, right)
    if not ours <= theirs and not theirs <= ours:
        return "statistics_given"
    if right in place.arguments or (got in place.arguments and place.step.name not in _LINEAR):
        return "wrong_point"
    behind = {i for step in program.ancestors(right).values() for i in step.inputs}
    return "step_missing" if got in behind else "wrong_operand"


def _is_constant(place: Place, number: int) -> bool:
    return not _sources(place, number)


def _sources(place: Place, number: int) -> set[int]:
    """Return the arguments that a value depends on."""
    before = place.program.ancestors(number).values()
    return {number, *(i for step in before for i in step.inputs)}.intersection(place.arguments)


def changed_argument(place: Place) -> Iterator[Edit]:
    """Add a number of the program to an argument, where a step reads it."""
    for position, i in enumerate(place.step.inputs):
        if i not in place.arguments:
            continue
        for constant in place.constants:
            c = float(place.values[constant].ravel()[0])
            for by, words in ((c, "added to"), (-c, "subtracted from")) if c else ():
                mistake = "epsilon_forgotten" if 0 < c < SMALL else "parameter_changed"
                change = with_operand(position, partial(plus, position, by))
                yield Edit(mistake, f"{c:g} is {words} {place.called(i)}", change)
