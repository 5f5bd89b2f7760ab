"""Hard activations: sigmoid, SiLU and tanh with a clipped straight line instead of a curve."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.shapes import Shaped
from jaxconv.activation._rule import as_floats, from_input, from_mask, from_output

__all__ = ["hard_sigmoid", "hard_silu", "hard_tanh"]


def hard_sigmoid(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""The straight line x/6 + ½, clipped to [0, 1], elementwise.

        y  = min(max(x + 3, 0), 6) / 6
        dx = dy/6 where 0 < y < 1, else 0

    At the kinks x = ±3 the derivative is taken to be 0, as in `jax.nn.hard_sigmoid` and PyTorch.
    Saved for the backward pass: y.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(hard_sigmoid(x).round(4))
        [0.3333 0.5    0.8333]
        >>> print(jax.vmap(jax.grad(hard_sigmoid))(x).round(4))
        [0.16669999 0.16669999 0.16669999]

    Args:
        x: input, any shape, floats.

    Returns:
        y in the shape and dtype of x. A NaN makes y NaN and the gradient 0.

    Raises:
        TypeError: x is not a floating-point array.

    The derivation: docs/derivations/activation.md.
    """
    return _hard_sigmoid(as_floats("hard_sigmoid", x))


def _hard_sigmoid_value(x: Array) -> Array:
    t = x + 3
    # JAX's minimum and maximum have a derivative of ½ at a tie, and so are not used.
    return jnp.where(t <= 0, 0, jnp.where(t >= 6, 6, t)) / 6


def _hard_sigmoid_backward(y: Array, dy: Array) -> Array:
    return jnp.where((y > 0) & (y < 1), dy / 6, 0)


_hard_sigmoid = from_output(_hard_sigmoid_value, _hard_sigmoid_backward, exact=True)


def hard_silu(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""x · hard_sigmoid(x), elementwise; also called hard swish.

        y  = x · min(max(x + 3, 0), 6) / 6
        dx = dy · (2x + 3)/6 where −3 < x < 3, 0 where x ≤ −3, dy where x ≥ 3

    At the kinks the derivative is taken to be 0 at x = −3 and 1 at x = 3, as in
    `jax.nn.hard_silu` and PyTorch. Saved for the backward pass: x, because y falls before it
    rises and so does not determine x.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(hard_silu(x).round(4))
        [-0.3333  0.      1.6667]
        >>> print(jax.vmap(jax.grad(hard_silu))(x).round(4))
        [0.16669999 0.5        1.1667    ]

    Args:
        x: input, any shape, floats.

    Returns:
        y in the shape and dtype of x. A NaN makes y and the gradient NaN. −∞ gives NaN, from
        −∞·0, as in `jax.nn`; the derivative there is the limit, 0.

    Raises:
        TypeError: x is not a floating-point array.

    The derivation: docs/derivations/activation.md.
    """
    return _hard_silu(as_floats("hard_silu", x))


def _hard_silu_value(x: Array) -> Array:
    return x * _hard_sigmoid_value(x)


def _hard_silu_backward(x: Array, dy: Array) -> Array:
    between = dy * (jnp.clip(x, -3, 3) / 3) + dy / 2
    return jnp.where(x <= -3, 0, jnp.where(x >= 3, dy, between))


_hard_silu = from_input(_hard_silu_value, _hard_silu_backward)


def hard_tanh(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""x clipped to [−1, 1], elementwise.

        y  = min(max(x, −1), 1)
        dx = dy where −1 ≤ x ≤ 1, else 0

    At the kinks x = ±1 the derivative is taken to be 1, as in `jax.nn.hard_tanh`; PyTorch takes 0.
    Saved for the backward pass: one byte per element. (y = 1 does not tell x = 1 from x > 1.)

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-2.0, 0.5, 2.0])
        >>> print(hard_tanh(x).round(4))
        [-1.   0.5  1. ]
        >>> print(jax.vmap(jax.grad(hard_tanh))(x).round(4))
        [0. 1. 0.]

    Args:
        x: input, any shape, floats.

    Returns:
        y in the shape and dtype of x. A NaN makes y NaN and the gradient dy.

    Raises:
        TypeError: x is not a floating-point array.

    The derivation: docs/derivations/activation.md.
    """
    return _hard_tanh(as_floats("hard_tanh", x))


def _hard_tanh_value(x: Array) -> Array:
    return jnp.where(x > 1, 1, jnp.where(x < -1, -1, x))


def _hard_tanh_cut(x: Array) -> Array:
    return (x > 1) | (x < -1)


def _hard_tanh_backward(cut: Array, dy: Array) -> Array:
    return jnp.where(cut, 0, dy)


_hard_tanh = from_mask(_hard_tanh_value, _hard_tanh_cut, _hard_tanh_backward)
