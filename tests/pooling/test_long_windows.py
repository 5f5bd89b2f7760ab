"""Windows that are long in a dimension: the reference implementation's gradient, in log K steps."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import assert_close, assert_trees_close, normal

import jaxconv
import jaxconv.reference
from jaxconv._core.doubling import LONG, LONG_SUM, running_sum
from jaxconv._core.jaxprs import equations


def geometry(seed, *, dilated=True):
    """The shape of an x in channels_last, a long window and its options."""
    rng = np.random.default_rng(seed)
    window = int(rng.integers(LONG + 1, 5 * LONG))
    stride = int(rng.choice([1, 1, 2, 3, rng.integers(1, window), window, window + 3]))
    dilation = int(rng.integers(1, 4)) if dilated and seed % 2 else 1
    span = dilation * (window - 1) + 1
    low, high = (int(rng.integers(0, span // 2 + 1)) for _ in range(2))
    length = int(rng.integers(max(span - low - high, 1), 2 * span))
    options = {"stride": stride, "padding": ((low, high),), "ceil_mode": bool(rng.integers(2))}
    if dilated:
        options["dilation"] = dilation
    shape, windows = (2, length, 3), (window,)
    if seed % 3 == 0:  # beside a short window
        windows = (2, window)
        shape = (2, 5, length, 3)
        options["padding"] = ((1, 0), *options["padding"])
        options["stride"] = (1 + seed % 2, stride)
        if dilated:
            options["dilation"] = (1, dilation)
    return shape, windows, options


def both(op, x, window, options, seed):
    """y, the gradient and one of its derivatives, of the rule and of the reference."""

    def everything(ops):
        pool = partial(getattr(ops, op), window=window, **options)

        def loss(x):
            y = jax.tree.leaves(pool(x))[0]
            return jnp.sum(jnp.sin(y) * normal(seed, y.shape))

        def bent(x):
            return jnp.sum(jnp.sin(jax.grad(loss)(x)) * normal(seed + 1, x.shape))

        return pool(x), jax.grad(loss)(x), jax.grad(bent)(x)

    got, want = jax.jit(lambda: [everything(ops) for ops in (jaxconv, jaxconv.reference)])()
    assert_trees_close(got, want, tolerance=1e-9)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(14))
def test_extremes(seed):
    shape, window, options = geometry(seed)
    # Few different values: many ties.
    x = np.random.default_rng(seed).integers(-4, 5, shape).astype(float)
    if seed % 4 < 2:
        x = np.moveaxis(x, -1, 1)
        options["layout"] = "channels_first"
    op = ("max_pool", "min_pool", "max_pool_with_indices")[seed // 2 % 3]
    if op != "max_pool_with_indices":
        options["ties"] = ("first", "all", "split")[seed // 6 % 3]
    both(op, x, window, options, seed)


@pytest.mark.parametrize("ties", ["first", "all", "split"])
def test_windows_of_padding_alone(ties):
    """Three positions, and windows that step over all of them."""
    options = {"window": 40, "stride": 1, "dilation": 5, "padding": 98, "ties": ties}
    x = normal(0, (2, 3, 1))
    y, pull = jax.vjp(partial(jaxconv.max_pool, **options), x)
    want, pull_want = jax.vjp(partial(jaxconv.reference.max_pool, **options), x)
    assert np.any(y == -np.inf)
    np.testing.assert_array_equal(y, want)
    dy = normal(1, y.shape)
    assert_close(pull(dy)[0], pull_want(dy)[0])


@pytest.mark.thorough
@pytest.mark.parametrize("op", ["avg_pool", "lp_pool"])
@pytest.mark.parametrize("seed", range(5))
def test_sums(seed, op):
    shape, window, options = geometry(seed, dilated=False)
    x = normal(seed, shape)
    if op == "lp_pool":
        options["p"] = 3.0
    both(op, x, window, options, seed)


@pytest.mark.parametrize("size", [LONG_SUM, LONG_SUM + 1, 1000])
def test_response_norm(size):
    both_layers = [partial(ops.local_response_norm, size=size, alpha=3.0)
                   for ops in (jaxconv, jaxconv.reference)]  # fmt: skip
    x, dy = normal(0, (2, 3, 70)), normal(1, (2, 3, 70))
    got, want = (
        jax.jit(lambda x, layer=layer: jax.vjp(layer, x)[1](dy)[0])(x) for layer in both_layers
    )
    assert_close(got, want)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 13])
def test_running_sum(count):
    x = np.arange(15.0).reshape(1, 15)
    want = [x[0, i : i + count].sum() for i in range(16 - count)]
    assert running_sum(1, count, jnp.asarray(x))[0].tolist() == want


@pytest.mark.thorough
def test_integers_and_16_bits():
    x = np.random.default_rng(0).integers(-100, 100, (1, 300, 2))
    pool = partial(jaxconv.max_pool, window=70, stride=3, padding=20)
    want = pool(x.astype(float))
    assert pool(x.astype(np.int8)).tolist() == want.tolist()
    for ties in ("first", "all", "split"):
        y, pull = jax.vjp(partial(pool, ties=ties), jnp.asarray(x, jnp.bfloat16))
        assert y.tolist() == want.tolist()
        (dx,) = pull(jnp.ones_like(y))
        (exact,) = jax.vjp(partial(pool, ties=ties), jnp.asarray(x, float))[1](jnp.ones(y.shape))
        assert_close(dx.astype(float), exact, tolerance=2**-7)


POOLS = {
    "max": jaxconv.max_pool,
    "min": jaxconv.min_pool,
    "all": partial(jaxconv.max_pool, ties="all"),
    "split": partial(jaxconv.max_pool, ties="split"),
    "indices": lambda *args, **options: jaxconv.max_pool_with_indices(*args, **options)[0],
    "mean": jaxconv.avg_pool,
    "power": partial(jaxconv.lp_pool, p=2),
    "dilated": partial(jaxconv.max_pool, dilation=2),
    "response": lambda x, window, **_: jaxconv.local_response_norm(x.mT, window),
}


@pytest.mark.thorough
@pytest.mark.parametrize("stride", [1, 3, 200, None])
@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_operations_grow_with_the_logarithm_of_the_window(pool, stride):
    """One view for each of 2000 offsets took minutes to compile."""

    def operations(window):
        x = jax.ShapeDtypeStruct((1, 8000, 2), np.float32)
        gradient = jax.grad(lambda x: jnp.sum(jnp.sin(pool(x, window, stride=stride))))
        return sum(1 for _ in equations(jax.make_jaxpr(gradient)(x)))

    assert operations(2000) < min(2500, operations(250) + 600)
