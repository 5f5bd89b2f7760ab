"""Single changes of a program that may mend it, each with the name of the mistake that it undoes.

`KINDS` are the kinds of changes, the simplest first: functions from a `Place` to its `Edit`s.
"""

from jaxconv.check.diagnosis.repair.edits.arranged import arranged, left_out, negated, zeroed
from jaxconv.check.diagnosis.repair.edits.exchanged import added, other_function
from jaxconv.check.diagnosis.repair.edits.inserted import (
    another_number,
    another_value,
    times_cotangent,
)
from jaxconv.check.diagnosis.repair.edits.operands import changed_argument, other_operand
from jaxconv.check.diagnosis.repair.edits.parameters import other_parameters
from jaxconv.check.diagnosis.repair.edits.place import Edit, Place
from jaxconv.check.diagnosis.repair.edits.sums import other_axes, summed_axes

KINDS = (
    other_parameters,
    other_axes,
    other_function,
    added,
    times_cotangent,
    left_out,
    negated,
    zeroed,
    changed_argument,
    arranged,
    another_number,
    other_operand,
    another_value,
)

__all__ = ["KINDS", "Edit", "Place", "summed_axes"]
