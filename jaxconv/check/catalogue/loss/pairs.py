"""Common parts of the records of losses whose prediction and target have one shape."""

from typing import Any

import numpy as np

from jaxconv.check.catalogue.record import Pinned, Record, Sample, value_error
from jaxconv.check.catalogue.sampling import normal

# A few pairs of shape and reduction, each of which compiles once.
REDUCED = (
    ((2, 3, 5), "mean"),
    ((7,), "sum"),
    ((2, 3, 5), "none"),
    ((), "mean"),
    ((0,), "none"),
    ((0,), "mean"),
    ((7,), "none"),
    ((), "sum"),
)

ONE_SHAPE = "(one shape is expected, nothing is broadcast)"


def of_pairs(name: str, pins: tuple[Pinned, ...], **fields: Any) -> Record:
    """Return the record of a loss whose prediction and target have one shape."""
    common = {"large": _large, "refusals": lambda: pair_refusals(name)}
    return Record(
        name=name,
        transformed=(0,),
        pinned=(*pins, _no_elements()),
        by_example=("prediction", "target"),
        **(common | fields),
    )


def pair_refusals(op: str):
    """Yield calls whose target has another shape than the prediction, and the error of each."""
    x = np.zeros((2, 3))
    for shape in ((), (3,), (2, 1), (2, 4)):
        message = f"{op}: prediction has shape (2, 3), but target has {shape} {ONE_SHAPE}"
        yield value_error(message, x, np.zeros(shape))


def _large() -> Sample:
    arrays = {"prediction": normal(0, (64, 100)), "target": normal(1, (64, 100))}
    return Sample(arrays, options={"reduction": "none"})


def _no_elements() -> Pinned:
    none = np.zeros((0, 3))
    return Pinned(
        "no elements",
        Sample({"prediction": none, "target": none}),
        dy=np.float64(1),
        y=0.0,
        gradients={"prediction": none},
    )
