"""Sigmoid-shaped activations, and the logarithm of the sigmoid."""

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.shapes import Shaped
from jaxconv.activation._rule import as_floats, from_input, from_output
from jaxconv.activation._saturation import one_minus_exp

__all__ = ["log_sigmoid", "sigmoid", "soft_sign", "tanh"]


def sigmoid(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""1/(1 + exp(−x)), elementwise.

        y  = 1/(1 + exp(−x))
        dx = dy · y·(1 − y)

    Saved for the backward pass: y (for 16-bit floats x instead, because their y is rounded).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(sigmoid(x).round(4))
        [0.2689     0.5        0.88079995]
        >>> print(jax.vmap(jax.grad(sigmoid))(x).round(4))
        [0.19659999 0.25       0.105     ]

    Args:
        x: input, any shape, floats.

    Returns:
        y in the shape and dtype of x. A NaN makes y and the gradient NaN.

    Raises:
        TypeError: x is not a floating-point array.

    The derivation: docs/derivations/activation.md.
    """
    return _sigmoid(as_floats("sigmoid", x))


def _sigmoid_value(x: Array) -> Array:
    return lax.logistic(x)


def _sigmoid_backward(y: Array, dy: Array) -> Array:
    return dy * (y * (1 - y))


_sigmoid = from_output(_sigmoid_value, _sigmoid_backward)


def log_sigmoid(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""log(1/(1 + exp(−x))), elementwise.

        y  = −log(1 + exp(−x))
        dx = dy · (1 − exp(y))

    since exp(y) is the sigmoid of x.
    Saved for the backward pass: y (for 16-bit floats x instead, because their y is rounded).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(log_sigmoid(x).round(4))
        [-1.3133 -0.6931 -0.1269]
        >>> print(jax.vmap(jax.grad(log_sigmoid))(x).round(4))
        [0.73109996 0.5        0.1192    ]

    Args:
        x: input, any shape, floats.

    Returns:
        y in the shape and dtype of x, accurate however large x is. A NaN makes y and the gradient
        NaN.

    Raises:
        TypeError: x is not a floating-point array.

    The derivation: docs/derivations/activation.md.
    """
    return _log_sigmoid(as_floats("log_sigmoid", x))


def _log_sigmoid_value(x: Array) -> Array:
    return -jnp.logaddexp(-x, 0)


def _log_sigmoid_backward(y: Array, dy: Array) -> Array:
    return dy * one_minus_exp(-y)


_log_sigmoid = from_output(_log_sigmoid_value, _log_sigmoid_backward)


def tanh(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""The hyperbolic tangent, elementwise.

        y  = (exp(x) − exp(−x)) / (exp(x) + exp(−x))
        dx = dy · (1 − y²)

    Saved for the backward pass: y (for 16-bit floats x instead, because their y is rounded).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(tanh(x).round(4))
        [-0.76159996  0.          0.964     ]
        >>> print(jax.vmap(jax.grad(tanh))(x).round(4))
        [0.42   1.     0.0707]

    Args:
        x: input, any shape, floats.

    Returns:
        y in the shape and dtype of x. A NaN makes y and the gradient NaN.

    Raises:
        TypeError: x is not a floating-point array.

    The derivation: docs/derivations/activation.md.
    """
    return _tanh(as_floats("tanh", x))


def _tanh_value(x: Array) -> Array:
    return jnp.tanh(x)


def _tanh_backward(y: Array, dy: Array) -> Array:
    return dy * ((1 - y) * (1 + y))  # 1 − y² would round y² first


_tanh = from_output(_tanh_value, _tanh_backward)


def soft_sign(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""x/(|x| + 1), elementwise.

        y  = x/(|x| + 1)
        dx = dy / (|x| + 1)²

    Saved for the backward pass: x. (The derivative is also (1 − |y|)², but with fewer digits.)

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(soft_sign(x).round(4))
        [-0.5     0.      0.6667]
        >>> print(jax.vmap(jax.grad(soft_sign))(x).round(4))
        [0.25   1.     0.1111]

    Args:
        x: input, any shape, floats.

    Returns:
        y in the shape and dtype of x. A NaN makes y and the gradient NaN. ±∞ gives NaN, from
        ∞/∞, as in `jax.nn` and PyTorch; the derivative there is the limit, 0 (these: NaN).

    Raises:
        TypeError: x is not a floating-point array.

    The derivation: docs/derivations/activation.md.
    """
    return _soft_sign(as_floats("soft_sign", x))


def _soft_sign_value(x: Array) -> Array:
    return x / (jnp.abs(x) + 1)


def _soft_sign_backward(x: Array, dy: Array) -> Array:
    r = jnp.abs(x)
    return dy / (1 + r * (2 + r))  # one rounding fewer than (1 + r)²


_soft_sign = from_input(_soft_sign_value, _soft_sign_backward)
