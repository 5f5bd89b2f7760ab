"""Dropout of elements and of examples."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import assert_close, normal

import jaxconv

X = normal(0, (6, 5, 9))
OPS = [jaxconv.dropout, jaxconv.drop_path]

each_op = pytest.mark.parametrize("op", OPS)


def test_the_mask_is_that_of_bernoulli():
    """So a model ported from Flax drops what it dropped there."""
    key = jax.random.key(3)
    kept = jax.random.bernoulli(key, 0.7, X.shape)
    assert_close(jaxconv.dropout(X, 0.3, key), np.where(kept, X / 0.7, 0))


@each_op
def test_forward_and_backward_drop_the_same(op):
    y, pull = jax.vjp(lambda x: op(x, 0.4, jax.random.key(0)), X)
    dy = normal(1, X.shape)
    (dx,) = pull(dy)
    np.testing.assert_array_equal(y == 0, dx == 0)
    assert_close(dx[y != 0], dy[y != 0] / 0.6)
    assert 0 < np.mean(y == 0) < 1


def test_the_rate_is_the_share_that_is_dropped():
    y = jaxconv.dropout(np.ones((200, 500)), 0.2, jax.random.key(0))
    np.testing.assert_allclose(np.mean(y == 0), 0.2, atol=0.01)
    np.testing.assert_allclose(np.mean(y), 1, atol=0.01)


def test_axes_that_are_dropped_together():
    x = np.ones((6, 5, 4, 9))
    y = np.asarray(jaxconv.dropout(x, 0.5, jax.random.key(0), broadcast_axes=(1, -2)))
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1], x.shape))
    assert 0 < np.mean(y[:, 0, 0] == 0) < 1
    path = np.asarray(jaxconv.drop_path(x, 0.5, jax.random.key(0)))
    np.testing.assert_array_equal(path, np.broadcast_to(path[:, :1, :1, :1], x.shape))
    assert 0 < np.mean(path == 0) < 1


@pytest.mark.thorough
@each_op
def test_typed_and_raw_keys(op):
    """The same key, under every transformation that meets it."""
    raw = jax.random.PRNGKey(5)
    assert raw.dtype == np.uint32
    typed = jax.random.wrap_key_data(raw)
    want = op(X, 0.5, typed)
    for key in (raw, np.asarray(raw), typed):
        np.testing.assert_array_equal(op(X, 0.5, key), want)
        np.testing.assert_array_equal(jax.jit(op, static_argnums=1)(X, 0.5, key), want)

        def loss(x, key=key):
            return jnp.sum(jnp.sin(op(x, 0.5, key)))

        kept = want != 0
        dx = jax.jit(jax.grad(jax.checkpoint(loss)))(X)
        assert_close(dx, np.where(kept, 2 * np.cos(2 * X), 0))
        twice = jax.grad(lambda x, loss=loss: jnp.sum(jax.grad(loss)(x)))(X)
        assert_close(twice, np.where(kept, -4 * np.sin(2 * X), 0))


@pytest.mark.thorough
@each_op
def test_one_key_for_each_of_a_batch_or_step(op):
    keys = jax.random.split(jax.random.key(0), 3)
    want = np.stack([op(X, 0.5, key) for key in keys])
    assert len({tuple(row) for row in (want == 0).reshape(3, -1)}) == 3
    for all_keys in (keys, jax.random.key_data(keys)):
        got = jax.vmap(partial(op, X, 0.5))(all_keys)
        np.testing.assert_array_equal(got, want)
        _, got = jax.lax.scan(lambda _, key: (None, op(X, 0.5, key)), None, all_keys)
        np.testing.assert_array_equal(got, want)


@each_op
def test_keys_of_another_generator(op):
    y = op(X, 0.5, jax.random.key(0, impl="rbg"))
    assert 0 < np.mean(y == 0) < 1


@each_op
def test_a_key_is_differentiated_as_jax_does(op):
    """Its cotangent has dtype float0, for raw keys: they are integers."""
    raw = jax.random.PRNGKey(0)
    _, pull = jax.vjp(lambda x, key: op(x, 0.5, key), X, raw)
    assert pull(X)[1].dtype == jax.dtypes.float0


@each_op
def test_what_is_dropped_is_0_even_if_it_is_no_number(op):
    key = jax.random.key(0)
    dropped = op(np.ones_like(X), 0.5, key) == 0
    spoilt = np.where(dropped, np.nan, X)
    y, pull = jax.vjp(lambda x: op(x, 0.5, key), spoilt)
    assert np.all(y[dropped] == 0)
    assert np.all(pull(spoilt)[0][dropped] == 0)


@pytest.mark.parametrize(
    ("op", "shape", "size"),
    [
        (jaxconv.dropout, (16, 10, 64), 16 * 10 * 8),
        (jaxconv.dropout, (16, 10, 3), 16 * 10),
        (jaxconv.drop_path, (16, 10, 64), 16),
    ],
)
def test_a_bit_an_element_is_kept(op, shape, size):
    pull = jax.vjp(lambda x: op(x, 0.1, jax.random.key(0)), np.ones(shape, np.float32))[1]
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(pull)) == size


@pytest.mark.parametrize("rate", [0, 1, 0.0, 1.0])
def test_all_or_nothing_draws_nothing(rate):
    jaxpr = str(jax.make_jaxpr(lambda x: jaxconv.dropout(x, rate, jax.random.key(0)))(X))
    assert "random_bits" not in jaxpr
