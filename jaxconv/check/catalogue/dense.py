"""The record of the fully connected layer."""

import numpy as np

from jaxconv.check.catalogue.record import Record, Sample, value_error
from jaxconv.check.catalogue.sampling import normal

LEADING = ((3,), (), (2, 3), (0,), (2, 1, 4))


def _sample(seed: int) -> Sample:
    arrays = {"x": normal(seed, (*LEADING[seed % 5], 5)), "w": normal(seed + 1, (5, 4))}
    return Sample(arrays | ({"b": normal(seed + 2, (4,))} if seed % 2 == 0 else {}))


def _large() -> Sample:
    return Sample({"x": normal(0, (64, 24)), "w": normal(1, (24, 32)), "b": normal(2, (32,))})


def _refusals():
    x, w = np.zeros((2, 3)), np.zeros((3, 4))
    for shape in ((), (3,), (2, 3, 4)):
        message = f"dense: w must have shape (in, out), but its shape is {shape}"
        yield value_error(message, x, np.zeros(shape))
    message = "dense: w must have at least 1 output, but its shape is (3, 0)"
    yield value_error(message, x, np.zeros((3, 0)))
    for shape in ((), (4,), (3, 2)):
        message = f"dense: x has shape {shape}, but w expects (..., 3)"
        yield value_error(message, np.zeros(shape), w)
    for shape in ((), (1,), (3,), (1, 4)):
        message = f"dense: b must have shape (4,), but its shape is {shape}"
        yield value_error(message, x, w, np.zeros(shape))


RECORDS = (Record(name="dense", sample=_sample, large=_large, refusals=_refusals),)
