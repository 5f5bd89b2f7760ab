"""Windows of two lengths, and both ways to go through them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import assert_close, assert_trees_close, normal

import jaxconv
import jaxconv.reference
from jaxconv.pooling import _extremes as extremes
from jaxconv.pooling import adaptive_pool as adaptive
from jaxconv.pooling._selection import UNROLLED


@pytest.mark.parametrize("n", [1, 2, 5, 7, 12])
@pytest.mark.parametrize("o", [1, 2, 3, 5, 8, 12, 13])
def test_adaptive_windows(n, o):
    """[⌊i·n/o⌋, ⌈(i+1)·n/o⌉), one by one."""
    x = np.random.default_rng(0).permutation(n).astype(float)
    windows = [x[i * n // o : -(-(i + 1) * n // o)] for i in range(o)]
    mean = jaxconv.adaptive_avg_pool(x.reshape(1, n, 1), o).ravel()
    assert_close(mean, [w.mean() for w in windows])
    largest = jaxconv.adaptive_max_pool(x.reshape(1, n, 1), o).ravel()
    assert largest.tolist() == [w.max() for w in windows]


ODD = {"ties": None, "nan": np.nan, "-inf": -np.inf, "inf": np.inf, "-0": -0.0}


@pytest.mark.parametrize("least", [0, extremes.LEAST_MATCHED], ids=["in calls", "not"])
@pytest.mark.parametrize("name", [*ODD, "all -inf", "integers"])
def test_offset_by_offset_finds_what_all_at_once_does(monkeypatch, name, least):
    monkeypatch.setattr(extremes, "LEAST_MATCHED", least)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (3, 11, 2)).astype(np.float32)
    if ODD.get(name) is not None:
        x[rng.random(x.shape) < 0.4] = ODD[name]
    if name == "all -inf":
        x[:] = -np.inf
    x = x.astype(np.int8) if name == "integers" else x
    ways = (adaptive._first_along, adaptive._first_of_spread)
    (y, index), (y2, index2) = jax.jit(lambda x: [way(1, 11, 4, x) for way in ways])(x)
    np.testing.assert_array_equal(y, y2)
    np.testing.assert_array_equal(index, index2)
    assert index.dtype == index2.dtype


@pytest.mark.parametrize(("n", "o"), [(2 * UNROLLED + 3, 2), (3, 200)])
@pytest.mark.parametrize("op", ["adaptive_avg_pool", "adaptive_max_pool"])
def test_windows_too_long_to_go_through(op, n, o):
    """And positions that are seen by too many of them."""
    x, dy = normal(0, (2, n, 3)), normal(1, (2, o, 3))

    def both_passes(op, x, dy):
        y, pull = jax.vjp(partial(op, output_size=o), x)
        return y, pull(dy)

    ours, reference = (
        jax.jit(partial(both_passes, getattr(m, op))) for m in (jaxconv, jaxconv.reference)
    )
    assert_trees_close(ours(x, dy), reference(x, dy))


def test_a_window_without_nan_has_none():
    x = jnp.array([1.0, np.nan, 3, 4, np.inf, 6, 7]).reshape(1, 7, 1)
    y, pull = jax.vjp(partial(jaxconv.adaptive_avg_pool, output_size=4), x)
    assert_close(y.ravel(), [np.nan, np.nan, np.inf, 6.5])
    (dx,) = pull(jnp.array([np.nan, 2.0, 8, 6]).reshape(1, 4, 1))
    assert_close(dx.ravel(), [np.nan, np.nan, 2 / 3, 10 / 3, 8 / 3, 17 / 3, 3])
