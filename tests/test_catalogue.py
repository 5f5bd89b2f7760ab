"""Every op of the catalogue: value and gradients are those of its reference and of differences.

Made from the records in jaxconv/check/catalogue. What a record must hold is tested here too.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import assert_trees_close, cotangent_of, judged, lowered, value_and_cotangents

import jaxconv
from jaxconv.check.catalogue import CATALOGUE, NUDGE

SAMPLES = 16
QUICKLY = 12  # of these; they already keep what records promise (below)
LATER = [pytest.param(seed, marks=pytest.mark.thorough) for seed in range(QUICKLY, SAMPLES)]
NO_OPS = {"by_hand", "compiler_options", "survey"}

each_op = pytest.mark.parametrize("record", CATALOGUE.values(), ids=CATALOGUE)


def test_every_op_has_a_record():
    assert set(CATALOGUE) == set(jaxconv.__all__) - NO_OPS


@each_op
@pytest.mark.parametrize("seed", [*range(QUICKLY), *LATER])
def test_value_and_gradients(record, seed):
    """Element by element against autodiff, and along a random direction against differences.

    The differences are those of the op itself, four points of them: their error is of the
    fourth power of the step.
    """
    sample = record.sample(seed)
    dy = cotangent_of(record.op, sample, seed)
    alone, rule, reference, slopes = judged(record, sample, dy, NUDGE if sample.smooth else None)
    assert_trees_close(rule, reference, f"{record.name} sample {seed} ", record.tolerance)
    assert_trees_close(alone, rule[0], f"{record.name} sample {seed} without its rule ")
    assert set(slopes) == (set(sample.arrays) if sample.smooth else set())
    for name, (got, want) in slopes.items():
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7, err_msg=f"d{name}")


@each_op
def test_pinned_points(record):
    for pinned in record.pinned:
        y, gradients = value_and_cotangents(record.op, pinned.sample, pinned.dy)
        named = dict(zip(pinned.sample.arrays, gradients, strict=True))
        if pinned.y is not None:
            jax.tree.map(
                lambda got, want, why=pinned.why: np.testing.assert_array_equal(got, want, why),
                y, pinned.y,
            )  # fmt: skip
        for name, want in pinned.gradients.items():
            np.testing.assert_array_equal(named[name], want, f"{pinned.why}: d{name}")


@each_op
def test_nan_goes_where_it_goes_in_the_reference(record):
    """A NaN in one element of one array: the value is NaN at the same places."""
    sample = record.sample(record.transformed[0])
    arrays = {name: np.array(value) for name, value in sample.arrays.items()}
    for name, value in arrays.items():
        spoilt = value.copy()
        spoilt.reshape(-1)[value.size // 2] = np.nan
        call = {**arrays, name: spoilt}.values()
        op, reference = (jax.jit(sample.bind(f))(*call) for f in (record.op, record.reference))
        jax.tree.map(
            lambda got, want: np.testing.assert_array_equal(np.isnan(got), np.isnan(want)),
            op, reference,
        )  # fmt: skip


@each_op
def test_samples_are_what_records_promise(record):
    """Off their defaults, in every layout and dimension, empty, and no two alike."""
    samples = [record.sample(seed) for seed in range(QUICKLY)]
    names = list(inspect.signature(record.op).parameters)
    for sample in [*samples, record.large()]:
        used = [*sample.arrays, *sample.fixed, *sample.options]
        assert len(set(used)) == len(used)
        assert set(used) <= set(names)
        assert all(value.dtype == np.float64 for value in sample.arrays.values())
    parameters = inspect.signature(record.op).parameters
    for name, parameter in parameters.items():
        if name == "out_sharding":
            continue  # needs a mesh: tests/test_sharding.py
        tried = [
            {**sample.arrays, **sample.fixed, **sample.options}.get(name, parameter.default)
            for sample in samples
        ]
        given = [value for value in tried if value is not parameter.default]
        kinds = {repr(value)[:200] for value in given}
        assert given, f"{name} is never given"
        if parameter.default is not inspect.Parameter.empty:
            assert kinds != {repr(parameter.default)}, f"{name} is always its default"
    if "layout" in parameters:
        layouts = {sample.options.get("layout") for sample in samples}
        made = [jax.eval_shape(s.bind(record.reference), *s.arrays.values()) for s in samples]
        given = [value for sample in samples for value in sample.arrays.values()]
        ranks = {array.ndim for array in jax.tree.leaves((made, given))}
        assert {"channels_first", "channels_last"} <= layouts
        assert ranks >= {3, 4, 5}
    empty = [s for s in samples if any(a.size == 0 for a in s.arrays.values())]
    assert empty, "no empty array is tried"
    assert jnp.asarray(next(iter(record.large().arrays.values()))).size >= 1000


@each_op
def test_on_a_gpu_nothing_is_done_for_a_cpu(record):
    """No barrier is left, neither around what is kept nor before a condition that writes in place.

    An array that was read from before a barrier and from behind it XLA has written over.
    """
    sample = record.sample(0)
    text = lowered(record.op, sample, cotangent_of(record.op, sample, 0), "cuda")
    barriers = text.count("optimization_barrier")
    assert barriers == (record.name == "local_response_norm")  # of what nothing else reads
