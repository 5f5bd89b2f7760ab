"""One step more: a factor, a term, a mask or the cotangent that is missing."""

from collections.abc import Iterator
from functools import partial

import jax.numpy as jnp
import numpy as np

from jaxconv.check.diagnosis.repair.edits.operands import SMALL
from jaxconv.check.diagnosis.repair.edits.place import Edit, Place, spread_over, then_with


def times_cotangent(place: Place) -> Iterator[Edit]:
    """Multiply by the cotangent what does not depend on it."""
    if place.output in place.driven or not place.is_real:
        return
    for dy in place.cotangents:
        if spread_over(place.values[dy].shape, place.y.shape) is not None:
            words = f"the result of {place.step.name} is multiplied by the cotangent"
            yield Edit("cotangent_ignored", words, then_with(dy, np.multiply))


def another_number(place: Place) -> Iterator[Edit]:
    """Multiply by, divide by, add or subtract a number of the program once more."""
    for other in place.constants if place.is_real else ():
        c = float(place.values[other].ravel()[0])
        if not c:
            continue
        yield from _scaled(place, other, "constant_factor")
        if place.output not in place.driven:
            mistake = "epsilon_forgotten" if 0 < c < SMALL else "parameter_changed"
            yield from _moved(place, other, mistake)


def another_value(place: Place) -> Iterator[Edit]:
    """Multiply by, divide by, add, subtract or select by an earlier value once more."""
    for other in place.earlier if place.is_real else ():
        u = place.values[other]
        if spread_over(u.shape, place.y.shape) is None:
            continue
        if u.dtype == bool:
            name = place.called(other)
            for kept, words in ((True, "false"), (False, "true")):
                change = then_with(other, partial(_masked, kept))
                yield Edit("mask_missing", f"the result is 0 where {name} is {words}", change)
        elif jnp.issubdtype(u.dtype, jnp.floating):
            is_driven = other in place.driven
            if not is_driven or place.output not in place.driven:
                yield from _scaled(place, other, "step_missing")
            if is_driven == (place.output in place.driven):
                yield from _moved(place, other, "step_missing")


def _masked(kept: bool, y: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask == kept, y, 0)


def _scaled(place: Place, other: int, mistake: str) -> Iterator[Edit]:
    what, by = f"the result of {place.step.name}", place.called(other)
    yield Edit(mistake, f"{what} is multiplied by {by}", then_with(other, np.multiply))
    if other not in place.driven:
        yield Edit(mistake, f"{what} is divided by {by}", then_with(other, np.divide))


def _moved(place: Place, other: int, mistake: str) -> Iterator[Edit]:
    what, by = f"the result of {place.step.name}", place.called(other)
    yield Edit(mistake, f"{by} is added to {what}", then_with(other, np.add))
    yield Edit(mistake, f"{by} is subtracted from {what}", then_with(other, np.subtract))
