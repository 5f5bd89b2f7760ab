"""Activations that shrink small values to 0 or towards it, and `threshold`."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import as_float
from jaxconv._core.shapes import Shaped
from jaxconv.activation._rule import as_floats, from_input, from_mask, from_output

__all__ = ["hardshrink", "softshrink", "tanhshrink", "threshold"]


def softshrink(x: Shaped[Array, "*shape"], lambd: float = 0.5) -> Shaped[Array, "*shape"]:
    r"""x moved towards 0 by λ, but not beyond 0, elementwise.

        y  = x − λ where x > λ,   x + λ where x < −λ,   else 0
        dx = dy where y ≠ 0, else 0

    At the kinks x = ±λ the derivative is taken to be 0, as in PyTorch.
    Saved for the backward pass: y.

    Example:
        >>> import jax.numpy as jnp
        >>> softshrink(jnp.array([-2.0, 0.25, 3.0])).tolist()
        [-1.5, 0.0, 2.5]

    Args:
        x: input, any shape, floats.
        lambd: λ, at least 0.

    Returns:
        y in the shape and dtype of x. A NaN makes y NaN and the gradient dy.

    Raises:
        TypeError: x is not a floating-point array, or lambd is not a number.
        ValueError: lambd is negative or not finite.

    The derivation: docs/derivations/activation.md.
    """
    return _softshrink(as_floats("softshrink", x), as_float("softshrink", "lambd", lambd, 0))


def _softshrink_value(x: Array, lambd: float) -> Array:
    return jnp.where(jnp.abs(x) <= lambd, 0, x - lambd * jnp.sign(x))


def _softshrink_backward(y: Array, dy: Array, lambd: float) -> Array:
    return jnp.where(y != 0, dy, 0)


_softshrink = from_output(_softshrink_value, _softshrink_backward, exact=True)


def hardshrink(x: Shaped[Array, "*shape"], lambd: float = 0.5) -> Shaped[Array, "*shape"]:
    r"""x, but 0 where x is small, elementwise.

        y  = x where |x| > λ, else 0
        dx = dy where y ≠ 0, else 0

    y jumps at x = ±λ and has no derivative there; it is taken to be 0, as in PyTorch.
    Saved for the backward pass: y.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.25, 2.0])
        >>> print(hardshrink(x).round(4))
        [-1.  0.  2.]
        >>> print(jax.vmap(jax.grad(hardshrink))(x).round(4))
        [1. 0. 1.]

    Args:
        x: input, any shape, floats.
        lambd: λ. If it is negative, no x counts as small: y = x and dx = dy.

    Returns:
        y in the shape and dtype of x. A NaN makes y NaN and the gradient dy.

    Raises:
        TypeError: x is not a floating-point array, or lambd is not a number.
        ValueError: lambd is not finite.

    The derivation: docs/derivations/activation.md.
    """
    return _hardshrink(as_floats("hardshrink", x), as_float("hardshrink", "lambd", lambd))


def _hardshrink_value(x: Array, lambd: float) -> Array:
    return jnp.where(jnp.abs(x) <= lambd, 0, x)


def _hardshrink_backward(y: Array, dy: Array, lambd: float) -> Array:
    return jnp.where(y != 0, dy, 0) if lambd >= 0 else dy


_hardshrink = from_output(_hardshrink_value, _hardshrink_backward, exact=True)


def tanhshrink(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""x − tanh(x), elementwise.

        y  = x − tanh(x)
        dx = dy · tanh(x)²

    Saved for the backward pass: x.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(tanhshrink(x).round(4))
        [-0.2384  0.      1.036 ]
        >>> print(jax.vmap(jax.grad(tanhshrink))(x).round(4))
        [0.58       0.         0.92929995]

    Args:
        x: input, any shape, floats.

    Returns:
        y in the shape and dtype of x. A NaN makes y and the gradient NaN.

    Raises:
        TypeError: x is not a floating-point array.

    The derivation: docs/derivations/activation.md.
    """
    return _tanhshrink(as_floats("tanhshrink", x))


def _tanhshrink_value(x: Array) -> Array:
    return x - jnp.tanh(x)


def _tanhshrink_backward(x: Array, dy: Array) -> Array:
    return dy * jnp.tanh(x) ** 2


_tanhshrink = from_input(_tanhshrink_value, _tanhshrink_backward)


def threshold(
    x: Shaped[Array, "*shape"], threshold: float, value: float
) -> Shaped[Array, "*shape"]:
    r"""x where it is above a threshold, and another value elsewhere, elementwise.

        y  = x where x > threshold, else value
        dx = dy where x > threshold, else 0

    At x = threshold, a kink or a jump, the derivative is taken to be 0, as in PyTorch.
    Saved for the backward pass: one byte per element.

    Example:
        >>> import jax.numpy as jnp
        >>> threshold(jnp.array([0.5, 1.5]), 1.0, -7.0).tolist()
        [-7.0, 1.5]

    Args:
        x: input, any shape, floats.
        threshold: the number that x has to exceed.
        value: y where x does not exceed it.

    Returns:
        y in the shape and dtype of x. A NaN makes y NaN and the gradient dy.

    Raises:
        TypeError: x is not a floating-point array, or threshold or value is not a number.
        ValueError: threshold or value is not finite.

    The derivation: docs/derivations/activation.md.
    """
    return _threshold(
        as_floats("threshold", x),
        as_float("threshold", "threshold", threshold),
        as_float("threshold", "value", value),
    )


def _threshold_value(x: Array, threshold: float, value: float) -> Array:
    return jnp.where(x <= threshold, value, x)


def _threshold_replaced(x: Array, threshold: float, value: float) -> Array:
    return x <= threshold


def _threshold_backward(replaced: Array, dy: Array, threshold: float, value: float) -> Array:
    return jnp.where(replaced, 0, dy)


_threshold = from_mask(_threshold_value, _threshold_replaced, _threshold_backward)
