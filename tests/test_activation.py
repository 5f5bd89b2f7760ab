"""relu."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import assert_trees_close, normal, value_and_pullback

import jaxconv
import jaxconv.reference


@pytest.mark.parametrize("shape", [(), (0,), (7,), (2, 3, 5)])
def test_rule(shape):
    x, dy = normal(0, shape), normal(1, shape)
    got = value_and_pullback(jaxconv.relu, (x,), dy)
    assert_trees_close(got, value_and_pullback(jaxconv.reference.relu, (x,), dy))
    np.testing.assert_array_equal(got[0], np.where(x > 0, x, 0))
    np.testing.assert_array_equal(got[1][0], np.where(x > 0, dy, 0))


def test_the_kink_and_nan():
    x = jnp.array([0.0, -0.0, jnp.nan, jnp.inf, -jnp.inf, 1e-300])
    y, pull = jax.vjp(jaxconv.relu, x)
    np.testing.assert_array_equal(y, [0, 0, jnp.nan, jnp.inf, 0, 1e-300])
    np.testing.assert_array_equal(pull(jnp.full(6, 7.0))[0], [0, 0, 0, 7, 0, 7])
    np.testing.assert_array_equal(y, jax.nn.relu(x))


def test_second_derivative_at_the_kink_is_zero():
    def square(x):
        return jnp.sum(jaxconv.relu(x) ** 2)

    assert jax.hessian(square)(jnp.array([0.0])).tolist() == [[0.0]]


def test_integers():
    assert jaxconv.relu(np.array([-2, 0, 3])).tolist() == [0, 0, 3]


def test_saves_its_output():
    x = normal(0, (3, 5))
    y, pull = jax.vjp(jaxconv.relu, x)
    (residual,) = jax.tree.leaves(pull)
    np.testing.assert_array_equal(residual, y)
