"""relu and prelu."""

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


@pytest.mark.parametrize(
    ("form", "index"), [((3,), "c"), ((4, 1), "h"), ((), ""), ((2, 1, 3), "nc")]
)
def test_prelu_adds_up_what_shares_an_alpha(form, index):
    """Element by element, as the equation has it."""
    x, alpha, dy = normal(0, (2, 4, 3)), normal(1, form), normal(2, (2, 4, 3))
    want_y, want_dx, want_dalpha = np.zeros_like(x), np.zeros_like(x), np.zeros(form)
    for n, h, c in np.ndindex(x.shape):
        at = {"c": (c,), "h": (h, 0), "": (), "nc": (n, 0, c)}[index]
        slope = 1 if x[n, h, c] > 0 else alpha[at]
        want_y[n, h, c] = slope * x[n, h, c]
        want_dx[n, h, c] = slope * dy[n, h, c]
        want_dalpha[at] += min(x[n, h, c], 0) * dy[n, h, c]
    got = value_and_pullback(jaxconv.prelu, (x, alpha), dy)
    assert_trees_close(got, (want_y, (want_dx, want_dalpha)))


def test_prelu_sums_16_bits_in_float32():
    x, alpha = jnp.full((4096, 1), -1, jnp.bfloat16), jnp.zeros(1, jnp.bfloat16)
    _, pull = jax.vjp(jaxconv.prelu, x, alpha)
    assert pull(jnp.ones_like(x))[1].tolist() == [-4096]  # a bfloat16 sum stops at 256
