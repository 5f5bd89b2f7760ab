"""softmax, log_softmax and glu: activations whose elements see others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import assert_close, assert_trees_close, normal, value_and_pullback

import jaxconv

SOFTMAXES = ("softmax", "log_softmax")


def test_the_jacobian_written_out():
    x, dy = normal(0, (5,)), normal(1, (5,))
    p = np.exp(x) / np.sum(np.exp(x))
    jacobian = np.array([[p[j] * ((j == c) - p[c]) for c in range(5)] for j in range(5)])
    log_jacobian = np.array([[(j == c) - p[c] for c in range(5)] for j in range(5)])
    got = value_and_pullback(jaxconv.softmax, (x,), dy)
    assert_trees_close(got, (p, (jacobian.T @ dy,)))
    got = value_and_pullback(jaxconv.log_softmax, (x,), dy)
    assert_trees_close(got, (np.log(p), (log_jacobian.T @ dy,)))


@pytest.mark.parametrize("name", SOFTMAXES)
def test_several_axes_are_one_long_axis(name):
    op, x, dy = getattr(jaxconv, name), normal(0, (2, 3, 5)), normal(1, (2, 3, 5))
    flat = value_and_pullback(
        op, (np.moveaxis(x, 1, 0).reshape(3, 10),), dy.swapaxes(0, 1).reshape(3, 10)
    )
    for axis in ((0, 2), [-1, 0]):
        y, pull = jax.vjp(lambda x, axis=axis: op(x, axis), x)
        for got, want in ((y, flat[0]), (pull(dy)[0], flat[1][0])):
            assert_close(np.moveaxis(got, 1, 0).reshape(3, 10), want)


@pytest.mark.parametrize("name", SOFTMAXES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_a_masked_score_is_as_good_as_none(name, dtype):
    """A score of −∞ changes nothing for the others, however large these are."""
    x, dy = 1e4 * normal(0, (4, 3)), normal(1, (4, 3))
    x, dy = (jnp.asarray(a).astype(dtype) for a in (x, dy))
    op = getattr(jaxconv, name)
    want = value_and_pullback(op, (x,), dy)
    masked = jnp.insert(x, 1, -jnp.inf, axis=1)
    y, (dx,) = value_and_pullback(op, (masked,), jnp.insert(dy, 1, 0, axis=1))
    assert np.isfinite(np.asarray(dx, float)).all()
    assert (dx[:, 1] == 0).all()
    assert (y[:, 1] == op(masked)[:, 1]).all()
    np.testing.assert_array_equal(jnp.delete(y, 1, axis=1), want[0])
    np.testing.assert_array_equal(jnp.delete(dx, 1, axis=1), want[1][0])


@pytest.mark.parametrize("name", SOFTMAXES)
def test_masked_scores_have_second_derivatives(name):
    x = jnp.array([1.0, -jnp.inf, 0.5, 2.0])

    def some(x):
        return jnp.sum(jnp.sin(getattr(jaxconv, name)(x)[jnp.array([0, 2])]))

    hessian = jax.hessian(some)(x)
    kept = np.array([0, 2, 3])
    assert_close(hessian[kept][:, kept], jax.hessian(lambda x: some_of_kept(name, x))(x[kept]))
    assert (hessian[1] == 0).all()
    assert (hessian[:, 1] == 0).all()


def some_of_kept(name, x):
    return jnp.sum(jnp.sin(getattr(jaxconv, name)(x)[:2]))


def test_the_halves_of_glu():
    """a comes first, along any axis."""
    a, b, dy = (normal(i, (2, 3, 4)) for i in range(3))
    gate = 1 / (1 + np.exp(-b))
    for axis in (0, 1, -1):
        y, pull = jax.vjp(lambda x, axis=axis: jaxconv.glu(x, axis), np.concatenate([a, b], axis))
        assert_close(y, a * gate)
        want = np.concatenate([dy * gate, dy * a * gate * (1 - gate)], axis)
        assert_close(pull(dy)[0], want)
