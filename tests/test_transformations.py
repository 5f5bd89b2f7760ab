"""Every rule under every transformation of JAX, against the twin under the same one.

The calls are samples of the catalogue, chosen by its records.
"""

import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from rules import assert_trees_close, float_leaves, normal

import jaxconv
from jaxconv.check.catalogue import CATALOGUE, Record, Sample


class Call:
    """One sample as losses with random cotangents that bend, so that second derivatives see it."""

    def __init__(self, record: Record, sample: Sample):
        self.record, self.sample = record, sample
        self.arrays = tuple(jnp.asarray(a) for a in sample.arrays.values())
        y = float_leaves(jax.eval_shape(lambda *a: sample.bind(record.op)(*a), *self.arrays))
        self.weights = [normal(900 + i, leaf.shape) for i, leaf in enumerate(y)]

    def loss(self, op):
        def loss(arrays):
            leaves = float_leaves(self.sample.bind(op)(*arrays))
            return sum(
                jnp.sum(c * jnp.sin(leaf)) for c, leaf in zip(self.weights, leaves, strict=True)
            )

        return loss

    @property
    def hand(self):
        return self.loss(self.record.op)

    @property
    def twin(self):
        return self.loss(self.record.twin)

    @functools.cached_property
    def twin_gradient(self):
        return jax.jit(jax.grad(self.twin))


CALLS = {
    f"{record.name}-{seed}": (record, seed)
    for record in CATALOGUE.values()
    for seed in record.transformed
}


@functools.cache
def call_of(name):
    record, seed = CALLS[name]
    return Call(record, record.sample(seed))


each_call = pytest.mark.parametrize("name", CALLS)


def test_every_op_is_transformed_where_there_is_something_to_see():
    assert {record.name for record, _ in CALLS.values()} == set(CATALOGUE)
    for name in CALLS:
        assert all(a.size for a in call_of(name).arrays), name
        assert any(np.any(np.asarray(g) != 0) for g in jax.tree.leaves(call_of(name).weights))


def both(call, transform, *args):
    """The transformed loss of rule and twin, each compiled once."""
    assert_trees_close(
        jax.jit(transform(call.hand))(*args), jax.jit(transform(call.twin))(*args), tolerance=1e-9
    )


@each_call
def test_gradient_without_jit_with_jit_inside_and_under_checkpoint(name):
    call = call_of(name)
    want = call.twin_gradient(call.arrays)
    assert_trees_close(jax.grad(call.hand)(call.arrays), want, "without jit")
    assert_trees_close(jax.jit(jax.grad(jax.jit(call.hand)))(call.arrays), want, "jit")
    again = jax.jit(jax.grad(jax.checkpoint(call.hand)))
    assert_trees_close(again(call.arrays), want, "checkpoint")


@each_call
def test_scan(name):
    """Through the carry: the gradient of step t reaches the arrays of all earlier steps."""

    def repeated(loss):
        def step(arrays, scale):
            value = loss(arrays)
            nudged = jax.tree.map(lambda a: a + 0.01 * scale * jnp.tanh(value) * jnp.cos(a), arrays)
            return nudged, value

        def total(arrays):
            _, values = jax.lax.scan(step, arrays, jnp.array([1.0, -0.5, 2.0]))
            return jnp.sum(values * jnp.array([3.0, 1.0, -2.0]))

        return jax.grad(total)

    call = call_of(name)
    both(call, repeated, call.arrays)


@each_call
def test_vmap_of_each_argument_and_of_all(name):
    call = call_of(name)
    stacks = tuple(jnp.stack([a, a + 0.003 * normal(7, a.shape), a * 1.001]) for a in call.arrays)
    for batched in {*range(len(stacks)), None}:
        chosen = tuple(batched in (None, i) for i in range(len(stacks)))
        if batched is None and len(stacks) == 1:
            continue
        args = tuple(s if c else a for s, c, a in zip(stacks, chosen, call.arrays, strict=True))
        axes = (tuple(0 if c else None for c in chosen),)
        hand = jax.jit(jax.vmap(jax.grad(call.hand), in_axes=axes))(args)
        for i in range(3):
            alone = tuple(a[i] if c else a for a, c in zip(args, chosen, strict=True))
            assert_trees_close(jax.tree.map(lambda h, i=i: h[i], hand), call.twin_gradient(alone))


@each_call
def test_second_derivatives(name):
    """Reverse over reverse, and the Hessian (forward over reverse) of a few elements of each."""
    call = call_of(name)
    weights = tuple(normal(20 + i, a.shape) for i, a in enumerate(call.arrays))
    few = [a.reshape(-1)[:5] for a in call.arrays]

    def twice(loss):
        def bent(arrays):
            gradients = jax.grad(loss)(arrays)
            return sum(jnp.sum(w * jnp.sin(g)) for w, g in zip(weights, gradients, strict=True))

        def of_few(few):
            return loss(
                tuple(
                    a.reshape(-1).at[: f.size].set(f).reshape(a.shape)
                    for a, f in zip(call.arrays, few, strict=True)
                )
            )

        return lambda arrays, few: (jax.grad(bent)(arrays), jax.hessian(of_few)(few))

    both(call, twice, call.arrays, few)


@each_call
def test_forward_mode_is_refused_by_the_rule_and_given_by_the_twin(name):
    call = call_of(name)
    tangents = tuple(jnp.ones_like(a) for a in call.arrays)
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(call.hand, (call.arrays,), (tangents,))
    jax.eval_shape(partial(jax.jvp, call.twin), (call.arrays,), (tangents,))


MESH = Mesh(np.array(jax.devices()[:2]), ("batch",))
SPLIT, WHOLE = PartitionSpec("batch"), PartitionSpec()

each_record = pytest.mark.parametrize("record", CATALOGUE.values(), ids=CATALOGUE)


@each_record
def test_sharded_over_the_batch(record):
    """Data parallel on two devices, by the compiler (jit) and by hand (shard_map)."""
    call = Call(record, record.large())
    names = tuple(call.sample.arrays)
    want = jax.jit(jax.grad(call.hand))(call.arrays)

    split = record.by_example or names[:1]
    sharded = tuple(
        jax.device_put(a, NamedSharding(MESH, SPLIT if name in split else WHOLE))
        for name, a in zip(names, call.arrays, strict=True)
    )
    assert_trees_close(jax.jit(jax.grad(call.hand))(sharded), want, "jit")

    if record.by_example:
        fixed = {name: jnp.asarray(a) for name, a in call.sample.fixed.items()}
        specs = tuple(SPLIT if name in record.by_example else WHOLE for name in names)
        fixed_specs = {name: SPLIT if name in record.by_example else WHOLE for name in fixed}

        @partial(
            jax.shard_map,
            mesh=MESH,
            in_specs=(specs, fixed_specs, SPLIT),
            out_specs=specs,
        )
        def local_gradients(arrays, fixed, weights):
            sample = Sample(dict(zip(names, arrays, strict=True)), fixed, call.sample.options)

            def loss(arrays):
                leaves = float_leaves(sample.bind(record.op)(*arrays))
                return sum(jnp.sum(c * jnp.sin(y)) for c, y in zip(weights, leaves, strict=True))

            return jax.grad(loss)(arrays)

        got = jax.jit(local_gradients)(call.arrays, fixed, call.weights)
        assert_trees_close(got, want, "shard_map")


@pytest.mark.parametrize("op", ["max_pool", "avg_pool"])
def test_overlapping_windows_sharded_over_space(op):
    """The partitioner of XLA cuts the windows at the border between two devices."""
    x, dy = normal(0, (2, 6, 5, 3)), normal(1, (2, 3, 3, 3))
    pool = partial(getattr(jaxconv, op), window=3, stride=2, padding=1)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(dy * jnp.sin(pool(x)))))
    sharded = jax.device_put(x, NamedSharding(MESH, PartitionSpec(None, "batch")))
    assert_trees_close(gradient(sharded), gradient(x))
