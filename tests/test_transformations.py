"""Every rule under every transformation of JAX, against the twin under the same one."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ops import CALLS
from rules import assert_trees_close, normal

import jaxconv

each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def objective(op, arrays, curve=jnp.sin):
    """A loss with random cotangents that bends, so that second derivatives see it."""
    shape = jax.eval_shape(op, *arrays).shape
    c = normal(9, shape)
    return lambda arrays: jnp.sum(c * curve(op(*arrays)))


def both(call, transform, *args):
    """The transformed objective of rule and twin, each compiled once."""
    assert_trees_close(
        jax.jit(transform(objective(call.hand, call.arrays)))(*args),
        jax.jit(transform(objective(call.twin, call.arrays)))(*args),
    )


@each_call
def test_without_jit(call):
    hand = jax.grad(objective(call.hand, call.arrays))(call.arrays)
    twin = jax.jit(jax.grad(objective(call.twin, call.arrays)))(call.arrays)
    assert_trees_close(hand, twin)


@each_call
def test_jit_inside_and_outside(call):
    both(call, lambda loss: jax.value_and_grad(jax.jit(loss)), call.arrays)


@each_call
def test_checkpoint(call):
    both(call, lambda loss: jax.grad(jax.checkpoint(loss)), call.arrays)


@each_call
def test_scan(call):
    """Through the carry: the gradient of step t reaches the arrays of all earlier steps."""

    def repeated(loss):
        def step(arrays, scale):
            value = loss(arrays)
            return jax.tree.map(lambda a: a + 0.1 * scale * value * jnp.cos(a), arrays), value

        def total(arrays):
            _, values = jax.lax.scan(step, arrays, jnp.array([1.0, -0.5, 2.0]))
            return jnp.sum(values * jnp.array([3.0, 1.0, -2.0]))

        return jax.grad(total)

    both(call, repeated, call.arrays)


@each_call
def test_vmap_of_each_argument_and_of_all(call):
    stacks = tuple(a + 0.1 * normal(7, (3, *a.shape)) for a in call.arrays)
    for batched in {*range(len(stacks)), None}:
        chosen = tuple(batched in (None, i) for i in range(len(stacks)))
        args = tuple(s if c else a for s, c, a in zip(stacks, chosen, call.arrays, strict=True))
        axes = (tuple(0 if c else None for c in chosen),)

        def gradients(loss, axes=axes):
            return jax.vmap(jax.grad(loss), in_axes=axes)

        hand = jax.jit(gradients(objective(call.hand, call.arrays)))(args)
        one_by_one = jax.jit(jax.grad(objective(call.twin, call.arrays)))
        for i in range(3):
            alone = tuple(a[i] if c else a for a, c in zip(args, chosen, strict=True))
            assert_trees_close(jax.tree.map(lambda h, i=i: h[i], hand), one_by_one(alone))


@each_call
def test_reverse_over_reverse(call):
    weights = tuple(normal(20 + i, a.shape) for i, a in enumerate(call.arrays))

    def twice(loss):
        def along(arrays):
            gradient = jax.grad(loss)(arrays)
            return sum(jnp.sum(w * jnp.sin(g)) for w, g in zip(weights, gradient, strict=True))

        return jax.grad(along)

    both(call, twice, call.arrays)


@each_call
def test_forward_over_reverse(call):
    tangents = tuple(normal(20 + i, a.shape) for i, a in enumerate(call.arrays))

    def hessian_vector_product(loss):
        return lambda arrays: jax.jvp(jax.grad(loss), (arrays,), (tangents,))

    both(call, hessian_vector_product, call.arrays)


@each_call
def test_hessian(call):
    small = [a.reshape(-1)[:7] for a in call.arrays]  # the Hessian of a few elements of each

    def of_few(loss):
        def patched(few):
            arrays = [
                jnp.asarray(a).reshape(-1).at[: f.size].set(f).reshape(a.shape)
                for a, f in zip(call.arrays, few, strict=True)
            ]
            return loss(tuple(arrays))

        return jax.hessian(patched)

    both(call, of_few, small)


@each_call
def test_forward_mode_is_refused_by_the_rule_and_given_by_the_twin(call):
    tangents = tuple(np.ones_like(a) for a in call.arrays)
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(call.hand, call.arrays, tangents)
    jax.jvp(call.twin, call.arrays, tangents)


@pytest.mark.parametrize("op", ["max_pool", "avg_pool"])
def test_overlapping_windows_sharded_over_space(op):
    """The partitioner of XLA cuts the windows at the border between two devices."""
    x = normal(0, (2, 6, 5, 3))
    mesh = Mesh(np.array(jax.devices()[:2]), ("rows",))
    pool = partial(getattr(jaxconv, op), window=3, stride=2, padding=1)
    gradient = jax.jit(jax.grad(objective(pool, (x,))))
    sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec(None, "rows")))
    assert_trees_close(gradient((sharded,)), gradient((x,)))


@pytest.mark.parametrize(
    "name", ["conv", "conv_transpose", "dense", "relu", "max_pool", "avg_pool"]
)
def test_sharded_over_the_batch(name):
    """Data parallel on two devices, by the compiler (jit) and by hand (shard_map)."""
    call = CALLS[name]
    x, *params = call.arrays
    x = x[: len(x) // 2 * 2]
    mesh = Mesh(np.array(jax.devices()[:2]), ("batch",))
    split, whole = PartitionSpec("batch"), PartitionSpec()
    loss = objective(call.hand, (x, *params))
    want = jax.jit(jax.grad(loss))((x, *params))

    sharded = (
        jax.device_put(x, NamedSharding(mesh, split)),
        *(jax.device_put(p, NamedSharding(mesh, whole)) for p in params),
    )
    assert_trees_close(jax.jit(jax.grad(loss))(sharded), want)

    c = normal(9, jax.eval_shape(call.hand, x, *params).shape)

    @partial(jax.shard_map, mesh=mesh, in_specs=(split, split, whole), out_specs=(split, whole))
    def local_gradients(c, x, params):
        def loss(x, params):
            return jnp.sum(c * jnp.sin(call.hand(x, *params)))

        return jax.grad(loss, argnums=(0, 1))(x, params)

    dx, dparams = jax.jit(local_gradients)(c, x, tuple(params))
    assert_trees_close((dx, *dparams), want)
