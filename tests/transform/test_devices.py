"""`by_hand` on several devices."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from rules import assert_trees_close, normal
from transform.small import W, conv, layers, pool, thorough

from jaxconv.transform import by_hand

DEVICES = Mesh(np.array(jax.devices()), ("d",), axis_types=(AxisType.Auto,))
MANY = jnp.asarray(normal(5, (2 * jax.device_count(), 2, 7, 6)))
SPLIT, SAME = PartitionSpec("d"), PartitionSpec()


def sharded(function, **options):
    options = {"mesh": DEVICES, "in_specs": (SPLIT, SAME), "out_specs": SAME, **options}
    return jax.shard_map(function, **options)


def sharded_scan(x, w):
    x, sums = lax.scan(lambda x, _: (jnp.tanh(conv(x, w)), x.sum()), x, length=2)
    return lax.psum(jnp.sum(jnp.sin(x)) + sums.sum(), "d")


def sharded_branch(x, w):
    positive = lax.psum(x.sum(), "d") > -1e9
    return lax.psum(jnp.sum(jnp.sin(lax.cond(positive, conv, lambda x, w: x, x, w))), "d")


def sharded_checkpoint(x, w):
    x = jax.checkpoint(layers)(x, w)
    return lax.psum(jnp.sum(jnp.sin(jax.jit(conv)(x, w))), "d")


def sharded_ring(x, w):
    size = jax.device_count()
    x = lax.ppermute(conv(x, w), "d", [(i, (i + 1) % size) for i in range(size)])
    return lax.pmean(jnp.sum(pool(x) * (1 + lax.axis_index("d")).astype(float)), "d")


@thorough
@pytest.mark.parametrize(
    "function", [sharded_scan, sharded_branch, sharded_checkpoint, sharded_ring]
)
def test_shard_map(function):
    def gradients(f):
        return jax.jit(jax.value_and_grad(f, (0, 1)))(MANY, W)

    want = gradients(sharded(function))
    assert_trees_close(gradients(by_hand(sharded(function))), want)
    assert_trees_close(gradients(sharded(by_hand(function))), want)
    assert_trees_close(gradients(by_hand(jax.jit(sharded(function)))), want)
    eager = by_hand(sharded(function))(MANY, W)
    assert_trees_close(eager, want[0])


@thorough
def test_shard_map_over_some_of_the_axes():
    count = jax.device_count()
    mesh = Mesh(np.array(jax.devices()).reshape(count // 2, 2), ("d", "other"))
    function = sharded(
        lambda x, w: lax.psum(jnp.sum(jnp.sin(layers(x, w))), "d"), mesh=mesh, axis_names={"d"}
    )
    got, want = (jax.jit(jax.grad(f, (0, 1)))(MANY, W) for f in (by_hand(function), function))
    assert_trees_close(got, want)
    got, want = (
        jax.jit(jax.vmap(f, (0, None)))(MANY[None], W) for f in (by_hand(function), function)
    )
    assert_trees_close(got, want)


@thorough
def test_constraints_inside():
    """Sharding constraints inside the function are kept."""
    split = NamedSharding(DEVICES, SPLIT)

    @partial(jax.jit, in_shardings=(split, NamedSharding(DEVICES, SAME)), out_shardings=split)
    def function(x, w):
        return lax.with_sharding_constraint(conv(x, w), split) * 2

    got, want = by_hand(function)(MANY, W), function(MANY, W)
    assert got.sharding == want.sharding
    assert_trees_close(got, want)
    got, want = (
        jax.jit(jax.grad(lambda x, w, f=f: jnp.sum(jnp.sin(f(x, w))), (0, 1)))(MANY, W)
        for f in (by_hand(function), function)
    )
    assert_trees_close(got, want)
