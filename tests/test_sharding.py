"""Every rule over two devices: cut by the compiler, by hand, and by the types of the arrays."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from rules import Call, assert_trees_close, float_leaves, normal

import jaxconv
from jaxconv.check.catalogue import CATALOGUE, Sample

MESH = Mesh(np.array(jax.devices()[:2]), ("batch",))
EXPLICIT = Mesh(np.array(jax.devices()[:2]), ("batch",), axis_types=(AxisType.Explicit,))
SPLIT, WHOLE = PartitionSpec("batch"), PartitionSpec()

each_record = pytest.mark.parametrize("record", CATALOGUE.values(), ids=CATALOGUE)
each_by_example = pytest.mark.parametrize(
    "record", [pytest.param(r, id=r.name) for r in CATALOGUE.values() if r.by_example]
)


def call_of(record):
    """The large call, and its gradients on one device."""
    call = Call(record, record.large())
    return call, jax.jit(jax.grad(call.hand))(call.arrays)


def specs(record, names):
    return {name: SPLIT if name in record.by_example else WHOLE for name in names}


def local_loss(record, sample):
    """The loss of whatever part of the batch is given."""

    def loss(arrays, fixed, weights):
        part = Sample(dict(zip(sample.arrays, arrays, strict=True)), fixed, sample.options)
        leaves = float_leaves(part.bind(record.op)(*arrays))
        return sum(jnp.sum(c * jnp.sin(y)) for c, y in zip(weights, leaves, strict=True))

    return loss


@pytest.mark.thorough
@each_record
def test_by_the_compiler(record):
    """jit over a sharded batch; examples may meet each other."""
    call, want = call_of(record)
    split = record.by_example or tuple(call.sample.arrays)[:1]
    sharded = tuple(
        jax.device_put(a, NamedSharding(MESH, SPLIT if name in split else WHOLE))
        for name, a in zip(call.sample.arrays, call.arrays, strict=True)
    )
    assert_trees_close(jax.jit(jax.grad(call.hand))(sharded), want)


@pytest.mark.thorough
@each_by_example
def test_by_hand(record):
    """shard_map: each device has its half, and parameters that are the same on all."""
    call, want = call_of(record)
    sample = call.sample
    fixed = {name: jnp.asarray(a) for name, a in sample.fixed.items()}
    of_arrays = tuple(specs(record, sample.arrays).values())
    local_gradients = jax.shard_map(
        jax.grad(local_loss(record, sample)),
        mesh=MESH,
        in_specs=(of_arrays, specs(record, fixed), SPLIT),
        out_specs=of_arrays,
    )
    assert_trees_close(jax.jit(local_gradients)(call.arrays, fixed, call.weights), want)


@pytest.mark.thorough
@each_by_example
def test_by_type(record):
    """A mesh with Explicit axes: how an array lies is part of its type, and of its gradient's."""
    call, want = call_of(record)
    sample = call.sample

    def lay(values):
        return {
            name: jax.device_put(jnp.asarray(a), NamedSharding(EXPLICIT, spec))
            for (name, a), spec in zip(values.items(), specs(record, values).values(), strict=True)
        }

    with jax.set_mesh(EXPLICIT):
        arrays = tuple(lay(dict(zip(sample.arrays, call.arrays, strict=True))).values())
        weights = [jax.device_put(c, NamedSharding(EXPLICIT, SPLIT)) for c in call.weights]
        loss = local_loss(record, sample)
        got = jax.jit(jax.grad(loss))(arrays, lay(sample.fixed), weights)
        for gradient, array in zip(got, arrays, strict=True):
            assert jax.typeof(gradient) == jax.typeof(array)
    assert_trees_close(jax.device_get(got), jax.device_get(want))


@pytest.mark.parametrize("op", ["max_pool", "avg_pool"])
def test_overlapping_windows_sharded_over_space(op):
    """The partitioner of XLA cuts the windows at the border between two devices."""
    x, dy = normal(0, (2, 6, 5, 3)), normal(1, (2, 3, 3, 3))
    pool = partial(getattr(jaxconv, op), window=3, stride=2, padding=1)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(dy * jnp.sin(pool(x)))))
    sharded = jax.device_put(x, NamedSharding(MESH, PartitionSpec(None, "batch")))
    assert_trees_close(gradient(sharded), gradient(x))
