"""Every op and its gradient where arrays of different rank may not meet."""

import jax
import pytest
from rules import float_leaves

from jaxconv.check.catalogue import CATALOGUE

CONVOLUTIONS = {"conv", "conv_transpose", "conv_general_dilated"}
"""Ops that still promote ranks."""

each_record = pytest.mark.parametrize(
    "record", [pytest.param(r, id=r.name) for r in CATALOGUE.values() if r.name not in CONVOLUTIONS]
)


@each_record
def test_no_rank_is_promoted(record):
    for sample in map(record.sample, range(16)):

        def program(*arrays, sample=sample):
            y, pull = jax.vjp(lambda *a: float_leaves(sample.bind(record.op)(*a)), *arrays)
            return pull(y)

        with jax.numpy_rank_promotion("raise"):
            jax.eval_shape(program, *sample.arrays.values())
