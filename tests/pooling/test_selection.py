"""The forms for large arrays: one meaning, whatever x holds and whoever transforms them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from rules import assert_trees_close, normal

import jaxconv
import jaxconv.reference
from jaxconv._core import barriers, windows
from jaxconv._core.geometry import make_windows
from jaxconv._core.sharding import reshape
from jaxconv.pooling import _extremes as extremes
from jaxconv.pooling import _selection as selection
from jaxconv.pooling._extremes import LARGEST, SMALLEST

OPTIONS = {"stride": (1, 2), "padding": ((1, 0), (1, 1)), "dilation": (2, 1), "ceil_mode": True}


@pytest.fixture(autouse=True)
def _always(monkeypatch):
    """However small x is."""
    for module in (extremes, selection):
        monkeypatch.setattr(module, "LEAST_MATCHED", 0)
    for module in (barriers, windows):
        monkeypatch.setattr(module, "LEAST_BYTES", 0)
    jax.clear_caches()
    yield
    jax.clear_caches()


@pytest.fixture
def x():
    return normal(0, (4, 6, 7, 3))


def special(name):
    """Values with which the two ways could part."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 3, (2, 6, 7, 3)).astype(np.float32)  # many ties
    odd = {"nan": np.nan, "-inf": -np.inf, "inf": np.inf, "-0": -0.0}.get(name)
    if odd is not None:
        x[rng.random(x.shape) < 0.4] = odd
    if name == "all -inf":
        x[:] = -np.inf
    return x.astype(np.int8) if name == "integers" else x


@pytest.mark.parametrize("e", [LARGEST, SMALLEST], ids=["largest", "smallest"])
@pytest.mark.parametrize("name", ["ties", "nan", "-inf", "inf", "-0", "all -inf", "integers"])
def test_both_ways_find_the_same(name, e):
    x = jnp.asarray(special(name)) * (1 if e is LARGEST else -1)
    g = make_windows("max_pool", x, (2, 3), layout="channels_last", **OPTIONS)
    ways = (selection._by_comparing, selection._by_matching)
    (y, index), (y2, index2) = jax.jit(lambda x: [way(e, g, x) for way in ways])(x)
    np.testing.assert_array_equal(y, y2)
    np.testing.assert_array_equal(index, index2)


def in_a_row(x):
    return reshape(x, (x.shape[0], 126, 1))


POOLS = {
    "dilated": lambda ops, x: ops.max_pool(x, (2, 3), **OPTIONS),
    "strided": lambda ops, x: ops.max_pool(x, (3, 2), stride=(2, 1), padding=((1, 0), (0, 1))),
    "holes": lambda ops, x: ops.max_pool(x, 2, stride=2, dilation=(2, 3)),
    "tied": lambda ops, x: ops.max_pool(x, (2, 3), stride=(1, 2), ties="split"),
    "mean": lambda ops, x: ops.avg_pool(x, (3, 2), stride=(2, 1), padding=((1, 0), (0, 1))),
    "power": lambda ops, x: ops.lp_pool(x, (5, 4), 3.0, stride=1, padding=((1, 2), (0, 1))),
    "whole": lambda ops, x: ops.global_max_pool(x),
    "adaptive": lambda ops, x: ops.adaptive_max_pool(x, (4, 3)),
    "long": lambda ops, x: ops.max_pool(in_a_row(x), 40, stride=3, padding=17),
    "long and tied": lambda ops, x: ops.max_pool(in_a_row(x), 50, stride=2, ties="split"),
    "long mean": lambda ops, x: ops.avg_pool(in_a_row(x), 75, stride=2, padding=20),
    "adaptive mean": lambda ops, x: ops.adaptive_avg_pool(x, (4, 3)),
}
each_pool = pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)


def loss(pool, ops, x):
    y = pool(ops, x)
    return jnp.sum(jnp.sin(y) * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))


def both(transformed, pool, *args):
    ours, reference = (
        jax.jit(partial(transformed, partial(loss, pool, ops)))
        for ops in (jaxconv, jaxconv.reference)
    )
    assert_trees_close(ours(*args), reference(*args), tolerance=1e-9)


@pytest.mark.thorough
@each_pool
def test_first_and_second_derivatives(pool, x):
    def derivatives(loss, x):
        def bent(x):
            return jnp.sum(jnp.sin(jax.grad(loss)(x)))

        forward_over_reverse = jax.jvp(jax.grad(loss), (x,), (x,))[1]
        return jax.grad(loss)(x), jax.grad(bent)(x), forward_over_reverse

    both(derivatives, pool, x)


@pytest.mark.thorough
@each_pool
def test_vmap_checkpoint_and_scan(pool, x):
    def mapped(loss, xs):
        def step(total, x):
            return total + jax.checkpoint(loss)(x), None

        return jax.vmap(jax.grad(loss))(xs), jax.grad(lambda xs: jax.lax.scan(step, 0.0, xs)[0])(xs)

    both(mapped, pool, jnp.stack([x, 2 * x[::-1]]))


@pytest.mark.thorough
@each_pool
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=str)
def test_over_two_devices(x, kind, pool):
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(kind,), devices=jax.devices()[:2])
    sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec("batch")))
    grad = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(pool(jaxconv, x)))))
    with jax.set_mesh(mesh):
        got = grad(sharded)
    if kind == AxisType.Explicit and pool in (POOLS["mean"], POOLS["power"], POOLS["long mean"]):
        assert_trees_close(jax.device_get(got), grad(x))  # summed in another order there
    else:
        np.testing.assert_array_equal(got, grad(x))


@pytest.mark.thorough
@each_pool
def test_by_hand_over_two_devices(x, pool):
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    gradient = jax.grad(lambda x: jnp.sum(jnp.sin(pool(jaxconv, x))))
    split = PartitionSpec("batch")
    by_hand = jax.jit(jax.shard_map(gradient, mesh=mesh, in_specs=split, out_specs=split))
    np.testing.assert_array_equal(by_hand(x), jax.jit(gradient)(x))


def test_elsewhere_there_is_no_condition_and_no_copy(x):
    """But for the condition on the platform, which is known before anything is compiled."""
    traced = jax.jit(jax.grad(partial(loss, POOLS["dilated"], jaxconv))).trace(x)
    on_cpu, elsewhere = (
        traced.lower(lowering_platforms=(platform,)).as_text() for platform in ("cpu", "tpu")
    )
    conditions = [text.count("stablehlo.case") for text in (on_cpu, elsewhere)]
    calls = [text.count('inlineable = "false"') for text in (on_cpu, elsewhere)]
    assert conditions[0] == conditions[1] + 1  # the search
    assert calls == [2, 0]  # two padded copies for the way back
