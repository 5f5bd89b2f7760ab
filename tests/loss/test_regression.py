"""Losses of a prediction and its target."""

from functools import partial

import jax
import numpy as np
import pytest
from rules import assert_close, normal

import jaxconv

REDUCTIONS = ["mean", "sum", "none"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_definitions(reduction):
    x, t = 2 * normal(0, (4, 3)), normal(1, (4, 3))
    r = x - t
    huber = np.where(np.abs(r) < 1.5, r**2 / 2, 1.5 * np.abs(r) - 1.5**2 / 2)
    assert 0 < np.mean(np.abs(r) < 1.5) < 1
    reduce = {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction]
    for op, each in (
        (jaxconv.mean_squared_error, r**2),
        (jaxconv.l2_loss, r**2 / 2),
        (jaxconv.mean_absolute_error, np.abs(r)),
        (partial(jaxconv.huber_loss, delta=1.5), huber),
    ):
        assert_close(op(x, t, reduction=reduction), reduce(each))


def test_huber_clips_the_gradient_of_the_squared_error():
    x, t = 2 * normal(0, (4, 3)), normal(1, (4, 3))
    loss = partial(jaxconv.huber_loss, delta=0.7, reduction="sum")
    assert_close(jax.grad(loss)(x, t), np.clip(x - t, -0.7, 0.7))


def test_second_derivative_of_huber_loss():
    """1 up to delta and with it, then 0, infinity included."""
    x = np.array([0.0, 0.5, 1.0, -1.0, 1.1, -3.0, np.inf])
    loss = partial(jaxconv.huber_loss, target=np.zeros(7), reduction="sum")
    diagonal = np.diag(jax.hessian(loss)(x))
    np.testing.assert_array_equal(diagonal, [1, 1, 1, 1, 0, 0, 0])


def test_the_absolute_error_keeps_a_byte_an_element():
    x = normal(0, (10, 10), np.float32)
    op = partial(jaxconv.mean_absolute_error, target=np.zeros_like(x))
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(jax.vjp(op, x)[1])) == 100


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_divergence_of_distributions(reduction):
    """Term by term; the sum over the classes is never negative, and 0 for two equal ones."""
    rng = np.random.default_rng(0)
    t, p = rng.dirichlet(np.ones(5), (2, 4))
    reduce = {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction]
    op = partial(jaxconv.kl_divergence, reduction=reduction)
    assert_close(op(np.log(p), t), reduce(t * np.log(t / p)))
    assert np.all(jaxconv.kl_divergence(np.log(p), t, reduction="none").sum(-1) > 0)
    np.testing.assert_allclose(op(np.log(t), t), 0, atol=1e-16)


def test_divergence_leads_softmax_to_its_target():
    """Through log_softmax the gradient is p − t, as that of the cross-entropy."""
    z, t = normal(0, (4, 5)), np.random.default_rng(0).dirichlet(np.ones(5), 4)
    loss = partial(jaxconv.kl_divergence, target=t, reduction="sum")
    dz = jax.grad(lambda z: loss(jax.nn.log_softmax(z)))(z)
    assert_close(dz, jax.nn.softmax(z) - t, tolerance=1e-9)
