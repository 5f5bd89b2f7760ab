"""One small convolution and pool, and what every test of `by_hand` asks of a function."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from rules import assert_trees_close, normal

from jaxconv.transform import by_hand

thorough = pytest.mark.thorough
X, W = jnp.asarray(normal(0, (3, 2, 7, 6))), jnp.asarray(normal(1, (2, 2, 3, 2)) / 3)
DY = jnp.asarray(normal(2, X.shape))


def conv(x, w=W):
    return lax.conv(x, w, (1, 1), "SAME")


def pool(x, window=(1, 1, 3, 2), strides=(1, 1, 1, 1)):
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, "SAME")


def layers(x, w=W):
    return pool(jnp.tanh(conv(x, w)))


def loss_of(function):
    return lambda *args: jnp.sum(DY * jnp.sin(function(*args)))


def check(function, *args, argnums=(0, 1), transform=jax.value_and_grad):
    """The value and the gradients of a function of x and w, with and without our rules."""
    args = args or (X, W)
    losses = loss_of(by_hand(function)), loss_of(function)
    got, want = jax.jit(lambda *args: tuple(transform(f, argnums)(*args) for f in losses))(*args)
    assert_trees_close(got, want)


def program(function, *args):
    return str(jax.make_jaxpr(function)(*args))


def is_ours(function, *args):
    return "custom_vjp" in program(by_hand(function), *args)
