"""Activations: one value in, one value out, and the derivative read off the output."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv.arguments import as_array, check_number


def relu(x: Array) -> Array:
    r"""max(x, 0), elementwise.

        y  = max(x, 0)
        dx = dy where y > 0, else 0

    At the kink x = 0 the derivative is taken to be 0, as in `jax.nn.relu` and PyTorch.
    Saved for the backward pass: y and not x. A conv or dense layer that comes next saves
    y as its input, so the two share one array.

    Args:
        x: input, any shape; floats or integers.

    Returns:
        y in the shape and dtype of x. NaN gives NaN, and no gradient.

    Raises:
        TypeError: x is no array of numbers.

    The derivation: docs/derivations/activation.md.
    """
    x = as_array("relu", "x", x)
    check_number("relu", "x", x)
    return _relu_compiled(x)


@jax.custom_vjp
def _relu(x: Array) -> Array:
    return _relu_forward(x)[0]


def _relu_forward(x: Array) -> tuple[Array, Array]:
    y = jnp.where(x <= 0, 0, x)  # not maximum(x, 0), whose own derivative at 0 is ½
    return y, y


def _relu_backward(y: Array, dy: Array) -> tuple[Array]:
    return (jnp.where(y > 0, dy, 0),)


_relu.defvjp(_relu_forward, _relu_backward)
_relu_compiled = jax.jit(_relu, inline=True)
