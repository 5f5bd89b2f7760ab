"""1 − exp(−y), near 0 and far from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import assert_close

from jaxconv.activation._saturation import one_minus_exp


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_its_digits(dtype):
    rng = np.random.default_rng(0)
    y = np.concatenate([10.0 ** rng.uniform(-30, 2, 5000), rng.uniform(0, 1, 5000)]).astype(dtype)
    truth = -np.expm1(-y.astype(np.float64))
    got = np.asarray(jax.jit(one_minus_exp)(y), np.float64)
    assert np.max(np.abs(got / truth - 1)) < 4 * np.finfo(dtype).eps


def test_where_it_begins_and_ends():
    y = jnp.array([0.0, np.inf, np.nan, 1e-300])
    assert_close(one_minus_exp(y), [0, 1, np.nan, 1e-300])


def test_its_derivatives_are_exponentials():
    y = jnp.array([0.0, 0.1, 0.4999, 0.6, 3.0, 40.0])
    for order in range(1, 4):
        f = one_minus_exp
        for _ in range(order):
            f = jax.grad(f)
        assert_close(jax.vmap(f)(y), (-1) ** (order + 1) * np.exp(-y), tolerance=1e-10)
