"""Every op and its gradient where arrays of different rank may not meet."""

import jax
import pytest
from rules import float_leaves

import jaxconv
import jaxconv.reference
from jaxconv.check.catalogue import CATALOGUE

each_record = pytest.mark.parametrize(
    "record", [pytest.param(r, id=r.name) for r in CATALOGUE.values()]
)


@pytest.mark.thorough
@each_record
@pytest.mark.parametrize("ops", [jaxconv, jaxconv.reference], ids=lambda ops: ops.__name__)
def test_no_rank_is_promoted(record, ops):
    op = getattr(ops, record.name)
    for sample in [record.large(), *map(record.sample, range(8))]:

        def program(*arrays, sample=sample):
            y, pull = jax.vjp(lambda *a: float_leaves(sample.bind(op)(*a)), *arrays)
            return pull(y)

        with jax.numpy_rank_promotion("raise"):
            jax.eval_shape(program, *sample.arrays.values())
