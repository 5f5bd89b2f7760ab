"""max_pool and avg_pool: values against the definition, rules against autodiff and loops."""

from functools import partial

import jax
import jax.numpy as jnp
import naive
import numpy as np
import pytest
from rules import assert_close, assert_trees_close, integers, normal, value_and_pullback

import jaxconv
import jaxconv.reference
from jaxconv.check.catalogue.geometries import pool_case


@pytest.mark.thorough
@pytest.mark.parametrize("ties", ["first", "all", "split"])
@pytest.mark.parametrize("seed", range(30))
def test_max_pool_on_awkward_geometries(seed, ties):
    case = pool_case(seed, largest=True)
    keywords = {**case.keywords, "ties": ties}
    op = partial(jaxconv.max_pool, window=case.window, **keywords)
    reference = partial(jaxconv.reference.max_pool, window=case.window, **keywords)
    y_shape = jax.eval_shape(op, jnp.zeros(case.x)).shape
    dy = normal(9, y_shape)

    for x in (normal(0, case.x), integers(1, case.x, limit=1)):  # the second is full of ties
        y, (dx,) = value_and_pullback(op, (x,), dy)
        naive_y, naive_dx = naive.max_pool(x, case.window, dy, **keywords)
        np.testing.assert_array_equal(y, naive_y)
        assert_close(dx, naive_dx)
        reference_y, (reference_dx,) = value_and_pullback(reference, (x,), dy)
        np.testing.assert_array_equal(y, reference_y)
        assert_close(dx, reference_dx)


@pytest.mark.parametrize("seed", range(30))
def test_avg_pool_on_awkward_geometries(seed):
    case = pool_case(seed, largest=False)
    op = partial(jaxconv.avg_pool, window=case.window, **case.keywords)
    reference = partial(jaxconv.reference.avg_pool, window=case.window, **case.keywords)
    x = normal(0, case.x)
    dy = normal(9, jax.eval_shape(op, x).shape)
    got = value_and_pullback(op, (x,), dy)
    assert_trees_close(got, value_and_pullback(reference, (x,), dy))
    naive_y, naive_dx = naive.avg_pool(x, case.window, dy, **case.keywords)
    assert_close(got[0], naive_y)
    assert_close(got[1][0], naive_dx)


@pytest.mark.parametrize("ties", ["first", "all", "split"])
def test_max_pool_against_central_differences(ties):
    # All values at least 1 apart: a nudge of 1/4 changes no maximum, so the difference is exact.
    x = np.random.default_rng(0).permutation(2 * 7 * 5 * 3).reshape(2, 7, 5, 3).astype(float)
    op = partial(
        jaxconv.max_pool, window=(3, 2), stride=(2, 1), padding=((1, 0), (0, 1)), ties=ties
    )
    dy = integers(1, op(x).shape)
    _, (dx,) = value_and_pullback(op, (x,), dy)
    v = integers(2, x.shape, limit=1) / 4
    np.testing.assert_array_equal(np.sum(dy * (op(x + v) - op(x - v)) / 2), np.sum(dx * v))


def ties_of(x, dy, ties):
    """dx of one window over all of x."""
    x = jnp.array(x)[None, :, None]
    op = partial(jaxconv.max_pool, window=x.shape[1], ties=ties)
    return jax.vjp(op, x)[1](jnp.full((1, 1, 1), dy))[0][0, :, 0].tolist()


@pytest.mark.parametrize(
    ("x", "first", "all_", "split"),
    [
        ([1.0, 3.0, 3.0, 2.0], [0, 6, 0, 0], [0, 6, 6, 0], [0, 3, 3, 0]),
        ([2.0, 2.0, 2.0], [6, 0, 0], [6, 6, 6], [2, 2, 2]),
        ([-jnp.inf, -jnp.inf], [6, 0], [6, 6], [3, 3]),
        ([jnp.inf, 0.0, jnp.inf], [6, 0, 0], [6, 0, 6], [3, 0, 3]),
        ([1.0, jnp.nan, 5.0, jnp.nan], [0, 6, 0, 0], [0, 6, 0, 6], [0, 3, 0, 3]),
        ([0.0, -0.0], [6, 0], [6, 6], [3, 3]),
    ],
)
def test_ties(x, first, all_, split):
    assert ties_of(x, 6.0, "first") == first
    assert ties_of(x, 6.0, "all") == all_
    assert ties_of(x, 6.0, "split") == split


@pytest.mark.parametrize(
    ("ties", "row"), [("first", [1, 0, 0]), ("all", [1, 1, 1]), ("split", [1 / 9] * 3)]
)
def test_second_derivative_at_a_tie(ties, row):
    """Of y²/2: the outer product of the shares with themselves."""
    op = partial(jaxconv.max_pool, window=3, ties=ties)

    def half_square(x):
        return 0.5 * jnp.sum(op(x[None, :, None]) ** 2)

    x = jnp.full(3, 2.0)
    both_ways = jax.hessian(half_square)(x), jax.jacrev(jax.grad(half_square))(x)
    for hessian in both_ways:
        assert_close(hessian[0], row)
        assert_close(hessian, hessian.T)


@pytest.mark.parametrize("ties", ["first", "all", "split"])
def test_nan_propagates(ties):
    x = normal(0, (1, 6, 1))
    x[0, 3] = np.nan
    y = jaxconv.max_pool(x, 2, stride=1, ties=ties)
    np.testing.assert_array_equal(np.isnan(y[0, :, 0]), [False, False, True, True, False])


@pytest.mark.parametrize("ties", ["first", "all", "split"])
def test_padding_never_ties_with_minus_infinity(ties):
    x = jnp.full((1, 3, 1), -jnp.inf)
    op = partial(jaxconv.max_pool, window=3, stride=3, padding=((1, 0),), ties=ties)
    dx = jax.vjp(op, x)[1](jnp.ones((1, 1, 1)))[0][0, :, 0]
    assert dx.tolist() == {"first": [1, 0, 0], "all": [1, 1, 0], "split": [0.5, 0.5, 0]}[ties]


@pytest.mark.parametrize("ties", ["first", "all", "split"])
def test_window_of_padding_alone(ties):
    # One position, seen by a window of two that are 3 apart: both its places are padding.
    x = jnp.ones((1, 1, 1))
    op = partial(jaxconv.max_pool, window=2, stride=1, dilation=3, padding="SAME", ties=ties)
    y, pull = jax.vjp(op, x)
    assert y.tolist() == [[[-jnp.inf]]]
    assert pull(jnp.ones_like(y))[0].tolist() == [[[0.0]]]


@pytest.mark.parametrize("ties", ["first", "all", "split"])
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8])
def test_integers(dtype, ties):
    x = np.random.default_rng(0).integers(0, 100, (2, 5, 7, 3)).astype(dtype)
    keywords = {"window": (3, 2), "stride": 2, "padding": ((1, 1), (0, 1)), "ties": ties}
    y = jaxconv.max_pool(x, **keywords)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, jaxconv.reference.max_pool(x, **keywords))
    assert y.tolist() == jaxconv.max_pool(x.astype(float), **keywords).tolist()


def test_integer_padding_is_the_minimum():
    x = np.full((1, 2, 1), -128, np.int8)
    assert jaxconv.max_pool(x, 2, padding=1, stride=2).tolist() == [[[-128], [-128]]]


@pytest.mark.parametrize(
    ("ties", "window", "saved"),
    [
        ("first", (2, 2), np.uint8),
        ("first", (1, 1), np.uint8),
        ("first", (8, 8), np.uint8),
        ("all", (2, 2), np.uint8),
        ("all", (3, 3), np.uint16),
        ("split", (5, 5), np.uint32),
    ],
)
def test_saves_small_integers(ties, window, saved):
    x = normal(0, (1, 17, 17, 2))
    y, pull = jax.vjp(partial(jaxconv.max_pool, window=window, stride=1, ties=ties), x)
    (residual,) = jax.tree.leaves(pull)
    assert (residual.dtype, residual.shape) == (saved, y.shape)


@pytest.mark.parametrize(("size", "saved"), [(256, np.uint8), (257, np.uint16)])
def test_large_windows_side_by_side_save_one_index(size, saved):
    x = normal(0, (1, 2 * size, 2))
    y, pull = jax.vjp(partial(jaxconv.max_pool, window=size), x)
    (residual,) = jax.tree.leaves(pull)
    assert (residual.dtype, residual.shape) == (saved, y.shape)


def test_windows_of_more_than_32_save_more_than_one_word():
    x = integers(0, (1, 7, 8, 1), limit=1)
    op = partial(jaxconv.max_pool, window=(5, 7), stride=1, ties="split")
    y, pull = jax.vjp(op, x)
    assert [leaf.dtype for leaf in jax.tree.leaves(pull)] == [np.uint32, np.uint8]
    dy = normal(1, y.shape)
    keywords = {"stride": (1, 1), "padding": "VALID", "ceil_mode": False, "layout": "channels_last"}
    _, want = naive.max_pool(x, (5, 7), dy, ties="split", **keywords)
    assert_close(pull(dy)[0], want)


def test_avg_pool_saves_nothing():
    _, pull = jax.vjp(partial(jaxconv.avg_pool, window=2), normal(0, (1, 4, 4, 1)))
    assert jax.tree.leaves(pull) == []


@pytest.mark.parametrize(
    ("keywords", "divisors"),
    [
        ({}, [3, 3]),
        ({"padding": 1, "stride": 3}, [3, 3, 3]),
        ({"padding": 1, "stride": 3, "count_include_pad": False}, [2, 3, 2]),
        ({"padding": ((1, 0),), "stride": 3, "ceil_mode": True}, [3, 3, 2]),
        ({"padding": 5, "stride": 4, "count_include_pad": False}, [1, 2, 3, 1]),
        ({"divisor": 7.0}, [7, 7]),
    ],
)
def test_what_counts(keywords, divisors):
    """Ones among seven ones: sum = how many ones a window holds = y · divisor."""
    x = jnp.ones((1, 7, 1))
    keywords = {"stride": 3, **keywords}
    y = jaxconv.avg_pool(x, 3, **keywords)[0, :, 0]
    held = jaxconv.avg_pool(x, 3, **{**keywords, "divisor": 1})[0, :, 0]
    assert (y * np.array(divisors, float)).tolist() == held.tolist()


def test_window_without_values_gives_zero_not_nan():
    x = jnp.ones((1, 3, 1))
    op = partial(jaxconv.avg_pool, window=2, stride=2, padding=((4, 0),), count_include_pad=False)
    y, pull = jax.vjp(op, x)
    assert y[0, :, 0].tolist() == [0, 0, 1]
    assert pull(jnp.ones_like(y))[0][0, :, 0].tolist() == [0.5, 0.5, 0]
