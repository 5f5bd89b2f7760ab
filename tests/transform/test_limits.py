"""`by_hand` at the limits of pools and convolutions, and in short floats."""

import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from rules import assert_trees_close, normal
from transform.small import DY, W, X, check, layers, loss_of, program, thorough

import jaxconv
from jaxconv.transform import by_hand

# Pools and convolutions at their limits


def test_ties():
    """The first of equal elements gets the gradient, as in lax."""
    x = jnp.asarray(np.random.default_rng(3).integers(-1, 2, X.shape).astype(float))
    for reducer, initial in ((lax.max, -jnp.inf), (lax.min, jnp.inf)):

        def function(x, w, reducer=reducer, initial=initial):
            return lax.reduce_window(x, initial, reducer, (1, 1, 3, 2), (1,) * 4, "SAME") * w.sum()

        check(function, x, W)


def test_pools_of_nan_and_of_nothing_but_infinities():
    """Where the gradient is a choice it is that of max_pool; what lax chooses stands beside it."""

    def slope(x, dy, window, padding):
        return jax.grad(
            lambda x: jnp.sum(
                dy * by_hand(lax.reduce_window)(x, -jnp.inf, lax.max, *window, padding)
            )
        )(x)

    dy = jnp.arange(1.0, 5)
    got = slope(jnp.array([1.0, jnp.nan, 0, 2]), dy[:3], ((2,), (1,)), "VALID")
    np.testing.assert_array_equal(got, [0, 3, 0, 3])  # lax: 0 1 2 3
    got = slope(jnp.full(4, -jnp.inf), dy, ((3,), (1,)), "SAME")
    np.testing.assert_array_equal(got, [3, 3, 4, 0])  # lax: 2 3 4 0


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_pools_of_infinities(bad):
    x = X.at[0, 0, 2, 2].set(bad).at[1, :, 1:4, :3].set(bad)

    def total(x):
        return sum(
            jnp.sum(DY * lax.reduce_window(x, i, r, (1, 1, 3, 2), (1,) * 4, "SAME"))
            for r, i in ((lax.max, -jnp.inf), (lax.min, jnp.inf))
        )

    assert_trees_close(jax.jit(jax.grad(by_hand(total)))(x), jax.jit(jax.grad(total))(x))


@pytest.mark.parametrize(
    ("reducer", "initial"),
    [
        pytest.param(jnp.maximum, -np.inf, id="jnp.maximum"),
        pytest.param(jnp.add, 0.0, id="jnp.add"),
        pytest.param(lambda a, b: a + b, 0.0, id="a + b"),
        pytest.param(lambda a, b: lax.min(a, b), np.inf, id="a lambda"),
    ],
)
@pytest.mark.parametrize("examples", [1, 3])
def test_reducers_that_lax_does_not_know(reducer, initial, examples):
    def function(x):
        start = jnp.full((), initial)
        return lax.reduce_window(x, start, reducer, (1, 1, 3, 2), (1, 1, 2, 1), "VALID")

    x = X[:examples]
    assert_trees_close(jax.jit(by_hand(function))(x), jax.jit(function)(x))


@pytest.mark.parametrize(
    ("reducer", "initial"),
    [
        pytest.param(lambda a, b: b + b, 0.0, id="b + b"),
        pytest.param(lambda a, b: lax.max(a, a), -np.inf, id="max(a, a)"),
        pytest.param(lambda a, b: lax.add(a, 1.0), 0.0, id="a + 1"),
    ],
)
def test_reducers_that_only_look_like_a_pool(reducer, initial):
    def function(x):
        return lax.reduce_window(x, initial, reducer, (1, 1, 2, 1), (1, 1, 2, 1), "VALID")

    assert_trees_close(by_hand(function)(X), function(X))


def test_initial_values_that_are_not_known():
    """A traced one is left to JAX."""

    def function(x):
        return lax.reduce_window(
            x, x[0, 0, 0, 0], lambda a, b: lax.max(a, b), (1, 1, 3, 2), (1, 1, 2, 1), "VALID"
        )

    assert_trees_close(jax.jit(by_hand(function))(X), jax.jit(function)(X))


POOLS = {
    "batch": ((3, 1, 1, 1), (1, 1, 1, 1), "VALID"),
    "channels": ((1, 2, 1, 1), (1, 1, 1, 1), "SAME"),
    "all": ((2, 2, 3, 2), (1, 1, 2, 1), "SAME"),
    "apart": ((2, 1, 1, 3), (1, 1, 1, 2), "SAME"),
    "one of each": ((1, 1, 1, 1), (1, 1, 1, 1), "VALID"),
    "stride alone": ((1, 1, 1, 1), (2, 1, 3, 2), "VALID"),
    "padding alone": ((1, 1, 1, 1), (1, 1, 1, 1), ((0, 0), (0, 0), (1, 2), (0, 1))),
    "no window": ((1, 1, 9, 1), (1, 1, 1, 1), "VALID"),
    "cropped": ((1, 1, 2, 2), (1, 1, 2, 1), ((0, 0), (0, 0), (0, -2), (1, -1))),
    "wide padding": ((1, 1, 2, 2), (1, 1, 1, 2), ((0, 0), (0, 0), (3, 4), (2, 0))),
}


@pytest.mark.parametrize(
    "name", [n if n in ("all", "cropped") else pytest.param(n, marks=thorough) for n in POOLS]
)
def test_windows(name):
    window, strides, padding = POOLS[name]
    for reducer, initial in ((lax.max, -np.inf), (lax.min, np.inf), (lax.add, 0.0)):

        def function(x, r=reducer, i=initial):
            return lax.reduce_window(x, i, r, window, strides, padding)

        want = jax.jit(function)(X)
        assert_trees_close(jax.jit(by_hand(function))(X), want)
        if np.all(np.isfinite(want)) and name != "cropped":
            dy = normal(9, want.shape)
            got, want = (
                jax.jit(jax.grad(lambda x, f=f, dy=dy: jnp.sum(dy * jnp.sin(f(x)))))(X)
                for f in (by_hand(function), function)
            )
            assert_trees_close(got, want)


@pytest.mark.parametrize(
    ("lhs", "rhs"), [((0, 2, 7, 6), W.shape), ((3, 0, 7, 6), (2, 0, 3, 2)), (X.shape, (0, 2, 3, 2)),
                     ((3, 2, 1, 1), W.shape)]
)  # fmt: skip
def test_convolutions_of_nothing(lhs, rhs):
    def total(x, w):
        return jnp.sum(jnp.sin(lax.conv(x, w, (2, 1), "SAME"))) + x.sum()

    args = jnp.asarray(normal(0, lhs)), jnp.asarray(normal(1, rhs))
    got, want = (jax.jit(jax.value_and_grad(f, (0, 1)))(*args) for f in (by_hand(total), total))
    assert_trees_close(got, want)


@thorough
@pytest.mark.parametrize("dims", [0, 1, 4])
def test_other_numbers_of_dimensions(dims):
    x, w = (
        jnp.asarray(normal(0, (3, 2, *(4,) * dims))),
        jnp.asarray(normal(1, (3, 2, *(2,) * dims))),
    )

    def total(x, w):
        return jnp.sum(jnp.sin(lax.conv_general_dilated(x, w, (1,) * dims, [(1, 0)] * dims)))

    got, want = (jax.jit(jax.value_and_grad(f, (0, 1)))(x, w) for f in (by_hand(total), total))
    assert_trees_close(got, want)


def test_products_in_wider_floats():
    def function(x, w):
        x, w = x.astype(np.float32), w.astype(np.float32)
        return lax.conv_general_dilated(x, w, (1, 1), "SAME", preferred_element_type=np.float64)

    got, want = (
        jax.jit(jax.value_and_grad(loss_of(f), (0, 1)))(X, W) for f in (by_hand(function), function)
    )
    assert_trees_close(got, want, tolerance=1e-6)


# In short floats, with strict promotion


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16, np.float16])
def test_without_64_bits(dtype):
    """The dtypes and the numbers, to within rounding, where float64 does not exist."""
    x, w, dy = (np.asarray(a, dtype) for a in (X, W, DY))

    def total(x, w):
        return jnp.sum(jnp.asarray(dy) * jnp.sin(layers(x, w)))

    with jax.enable_x64(False):
        got, want = (jax.jit(jax.value_and_grad(f, (0, 1)))(x, w) for f in (by_hand(total), total))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert a.dtype == b.dtype == dtype
        off = np.linalg.norm((np.asarray(a, float) - np.asarray(b, float)).ravel())
        assert off <= 8 * jnp.finfo(dtype).eps * np.linalg.norm(np.asarray(b, float).ravel())


def test_it_is_idempotent():
    once, twice = (program(f, X, W) for f in (by_hand(layers), by_hand(by_hand(layers))))
    assert once == twice
    assert program(by_hand(partial(jaxconv.max_pool, window=2)), X) == program(
        partial(jaxconv.max_pool, window=2), X
    )
    assert functools.reduce(lambda f, _: by_hand(f), range(3), layers)(X).shape == X.shape
