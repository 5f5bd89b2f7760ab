"""`jax.export` with symbolic sizes: one program for all batches, forward and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from rules import assert_trees_close, float_leaves

from jaxconv.check.catalogue import CATALOGUE, Sample

CONVOLUTIONS = {"conv", "conv_transpose", "conv_general_dilated"}
"""Ops that do not export with symbolic sizes yet."""

SEEDS = range(4)


def batched(record, sample):
    """Names of the arrays whose leading axis is the batch."""
    return record.by_example or tuple(sample.arrays)[:1]


def of_size(record, sample, count):
    """The sample with a batch of this size: its examples again and again, each a little other."""

    def grown(name, array):
        array = np.asarray(array) if isinstance(array, np.ndarray) else array
        if name not in batched(record, sample):
            return array
        grown = np.take(np.asarray(array), np.arange(count) % len(array), axis=0)
        if np.issubdtype(grown.dtype, np.floating):
            shift = 1 + 0.01 * np.arange(count).reshape(-1, *(1,) * (grown.ndim - 1))
            grown = (grown * shift).astype(grown.dtype)
        return grown

    arrays, fixed = (
        {name: grown(name, array) for name, array in part.items()}
        for part in (sample.arrays, sample.fixed)
    )
    return Sample(arrays, fixed, sample.options, sample.smooth)


def program(op, sample):
    """y and the gradients of the arrays."""

    def run(arrays, fixed):
        def floats(arrays):
            y = op(**arrays, **fixed, **sample.options)
            return float_leaves(y), y

        leaves, pull, y = jax.vjp(floats, arrays, has_aux=True)
        return y, pull([jnp.cos(leaf) for leaf in leaves])[0]

    return jax.jit(run)


def exported(op, record, sample):
    """The program for a batch of any size."""
    (count,) = export.symbolic_shape("b")
    names = batched(record, sample)

    def kind(name, array):
        array = jnp.asarray(array)
        shape = (count, *array.shape[1:]) if name in names else array.shape
        return jax.ShapeDtypeStruct(shape, array.dtype)

    kinds = [
        {name: kind(name, array) for name, array in part.items()}
        for part in (sample.arrays, sample.fixed)
    ]
    return export.export(program(op, sample))(*kinds)


def calls():
    for record in CATALOGUE.values():
        if record.name in CONVOLUTIONS:
            continue
        for seed in SEEDS:
            sample = record.sample(seed)
            both = {**sample.arrays, **sample.fixed}
            if all(np.ndim(both[name]) and len(both[name]) for name in batched(record, sample)):
                yield pytest.param(record, sample, id=f"{record.name}-{seed}")


@pytest.mark.parametrize(("record", "sample"), list(calls()))
def test_any_batch(record, sample):
    try:
        exported(record.twin, record, sample)
    except Exception:
        pytest.skip("the reference implementation does not export")
    compiled = exported(record.op, record, sample)
    for count in (2, 5):
        one = of_size(record, sample, count)
        arrays, fixed = (jax.tree.map(jnp.asarray, dict(part)) for part in (one.arrays, one.fixed))
        got = compiled.call(arrays, fixed)
        assert float_leaves(got)
        assert_trees_close(got, program(record.op, one)(arrays, fixed), tolerance=1e-9)
