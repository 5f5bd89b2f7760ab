"""Binary cross-entropy and focal loss."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import assert_close, normal

import jaxconv

LOGITS = np.concatenate([np.linspace(-60, 60, 121), [1e3, -1e3, 1e4, -1e4]])


def bernoulli_likelihood(z, t, p):
    """By its definition, one number at a time."""
    each = np.empty_like(z)
    for i in np.ndindex(z.shape):
        sure = 1 / (1 + np.exp(-z[i]))
        each[i] = -p[i] * t[i] * np.log(sure) - (1 - t[i]) * np.log(1 - sure)
    return each


def test_definition_and_the_weight_a_mean_divides_by():
    rng = np.random.default_rng(0)
    z, t = normal(0, (4, 3)), rng.uniform(0, 1, (4, 3))
    w, p = rng.uniform(0.5, 2, (4, 1)), rng.uniform(0.5, 2, 3)
    each = w * bernoulli_likelihood(z, t, np.broadcast_to(p, z.shape))
    op = partial(jaxconv.sigmoid_binary_cross_entropy, z, t, weights=w, pos_weight=p)
    assert_close(op(reduction="none"), each)
    assert_close(op(), np.sum(each) / (3 * np.sum(w)))
    assert_close(
        jaxconv.sigmoid_binary_cross_entropy(z, t),
        np.mean(bernoulli_likelihood(z, t, np.ones_like(z))),
    )


def test_gradient_is_sigma_minus_t():
    z, t = normal(0, (4, 3)), np.random.default_rng(0).uniform(0, 1, (4, 3))
    op = partial(jaxconv.sigmoid_binary_cross_entropy, reduction="sum")
    dz, dt = jax.grad(op, (0, 1))(z, t)
    assert_close(dz, jax.nn.sigmoid(z) - t)
    assert_close(dt, -z)


@pytest.mark.parametrize("label", [0, 1])
def test_float32_keeps_its_digits(label):
    """Also those of a nearly certain prediction, where σ(z) rounds to 1."""
    z = LOGITS[np.abs(LOGITS) < 80]
    t = np.full(z.shape, label)
    for op in (jaxconv.sigmoid_binary_cross_entropy, jaxconv.focal_loss):
        each = partial(op, reduction="none")
        exact = jax.vjp(lambda z, f=each: f(z, t), z)
        got = jax.vjp(lambda z, f=each: f(z, t), z.astype(np.float32))
        ones = np.ones(z.shape, np.float32)
        # The exponents of focal loss reach 3 · 60, below what float32 can tell from 0.
        np.testing.assert_allclose(got[0], exact[0], rtol=2e-5, atol=1e-37)
        np.testing.assert_allclose(
            got[1](ones)[0], exact[1](np.ones(z.shape))[0], rtol=2e-5, atol=1e-37
        )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_logits_are_finite(gamma, dtype):
    z = LOGITS.astype(dtype)
    for t in (0.0, 0.3, 1.0):
        labels = np.full(z.shape, t, dtype)
        loss = partial(jaxconv.focal_loss, gamma=gamma, reduction="sum")
        y, gradients = jax.value_and_grad(loss, (0, 1))(z, labels)
        assert np.isfinite(y)
        assert all(np.all(np.isfinite(g)) for g in gradients)


def test_focal_loss_without_focus_is_the_cross_entropy():
    z, t = normal(0, (4, 3)), np.random.default_rng(0).uniform(0, 1, (4, 3))
    focal = jax.value_and_grad(partial(jaxconv.focal_loss, gamma=0.0), (0, 1))(z, t)
    entropy = jax.value_and_grad(jaxconv.sigmoid_binary_cross_entropy, (0, 1))(z, t)
    jax.tree.map(assert_close, focal, entropy)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_by_its_definition(gamma):
    z, t = normal(0, (4, 3)), np.random.default_rng(0).integers(0, 2, (4, 3))
    right = np.where(t == 1, 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(z)))
    want = -((1 - right) ** gamma) * np.log(right)
    assert_close(jaxconv.focal_loss(z, t, gamma=gamma, reduction="none"), want)


def test_labels_may_be_booleans_and_integers():
    z, t = normal(0, (4, 3)), np.random.default_rng(0).integers(0, 2, (4, 3))
    for op in (jaxconv.sigmoid_binary_cross_entropy, jaxconv.focal_loss):
        want = jax.grad(op)(z, t.astype(float))
        for dtype in (bool, np.int8, np.uint8):
            assert_close(jax.grad(op)(z, jnp.asarray(t).astype(dtype)), want)
