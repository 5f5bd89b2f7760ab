"""Gated activations: x times a gate between 0 and 1, a function of x or of its other half."""

import math

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import as_axis, as_bool
from jaxconv._core.shapes import Shaped
from jaxconv.activation._rule import as_floats, from_input

__all__ = ["gelu", "glu", "mish", "silu"]


def silu(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""x · sigmoid(x), elementwise; also called swish.

    With σ the sigmoid of x:

        y  = x·σ
        dx = dy · (σ + x·σ·(1 − σ))

    Saved for the backward pass: x, because y falls before it rises and so does not determine x.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(silu(x).round(4))
        [-0.2689     0.         1.7615999]
        >>> print(jax.vmap(jax.grad(silu))(x).round(4))
        [0.07229999 0.5        1.0907999 ]

    Args:
        x: input, any shape, floats.

    Returns:
        y in the shape and dtype of x. A NaN makes y and the gradient NaN. −∞ gives NaN, from
        −∞·0, as in `jax.nn` and PyTorch. The derivative is 1 at ∞ and 0 at −∞; theirs is NaN.

    Raises:
        TypeError: x is not a floating-point array.

    The derivation: docs/derivations/activation.md.
    """
    return _silu(as_floats("silu", x))


def _silu_value(x: Array) -> Array:
    return x * lax.logistic(x)


def _silu_backward(x: Array, dy: Array) -> Array:
    x = jnp.clip(x, -800, 800)  # the gate is 0 or 1 far inside; ∞·0 would be NaN
    gate = lax.logistic(x)
    return dy * gate + dy * x * (gate * (1 - gate))


_silu = from_input(_silu_value, _silu_backward)


def gelu(x: Shaped[Array, "*shape"], approximate: bool = True) -> Shaped[Array, "*shape"]:
    r"""x times the probability that a standard normal number is below x, elementwise.

    With Φ that probability and φ = Φ′ the density, exp(−x²/2)/√(2π):

        y  = x·Φ(x)
        dx = dy · (Φ(x) + x·φ(x))

    The approximation, which is the default as in `jax.nn.gelu`, replaces Φ by a sigmoid σ. It is
    usually written with tanh, and σ(2u) = ½·(1 + tanh u):

        y  = x·σ(v),     v = √(8/π)·(x + 0.044715·x³),     v′ = √(8/π)·(1 + 3·0.044715·x²)
        dx = dy · (σ(v) + x·v′·σ(v)·(1 − σ(v)))

    Saved for the backward pass: x, because y falls before it rises and so does not determine x.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(gelu(x).round(4))
        [-0.15879999  0.          1.9546    ]
        >>> print(jax.vmap(jax.grad(gelu))(x).round(4))
        [-0.083   0.5     1.0861]

    Args:
        x: input, any shape, floats.
        approximate: whether to use the approximation. PyTorch's default is the exact function.

    Returns:
        y in the shape and dtype of x. A NaN makes y and the gradient NaN. −∞ gives NaN, from
        −∞·0, as in `jax.nn` and PyTorch. The derivative is 1 at ∞ and 0 at −∞; theirs is NaN.

    Raises:
        TypeError: x is not a floating-point array, or approximate is neither True nor False.

    The derivation: docs/derivations/activation.md.
    """
    x = as_floats("gelu", x)
    return _gelu_tanh(x) if as_bool("gelu", "approximate", approximate) else _gelu(x)


def _gelu_value(x: Array) -> Array:
    return x * _normal_cdf(x)


def _gelu_backward(x: Array, dy: Array) -> Array:
    x = jnp.clip(x, -40, 40)  # Φ is 0 or 1 far inside; ∞·0 would be NaN
    density = jnp.exp(-jnp.square(x) / 2) / math.sqrt(2 * math.pi)
    return dy * _normal_cdf(x) + dy * x * density


def _normal_cdf(x: Array) -> Array:
    return lax.erfc(-x * math.sqrt(0.5)) / 2


_gelu = from_input(_gelu_value, _gelu_backward)

_CUBIC = 0.044715


def _gelu_tanh_value(x: Array) -> Array:
    return x * (0.5 + 0.5 * _half_tanh(x))


def _half_tanh(x: Array) -> Array:
    """Return tanh(v/2), which XLA computes faster than σ(v)."""
    return jnp.tanh(math.sqrt(2 / math.pi) * (x + _CUBIC * x**3))


def _gelu_tanh_backward(x: Array, dy: Array) -> Array:
    x = jnp.clip(x, -40, 40)
    t = _half_tanh(x)
    gate, shut = 0.5 + 0.5 * t, 0.5 - 0.5 * t
    dv = math.sqrt(8 / math.pi) * (1 + 3 * _CUBIC * jnp.square(x))
    return dy * gate + dy * (x * dv) * (gate * shut)


_gelu_tanh = from_input(_gelu_tanh_value, _gelu_tanh_backward)


def mish(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""x · tanh(softplus(x)), elementwise.

    With e = exp(x) and m = e·(e + 2), so that tanh(log(1 + e)) = m/(m + 2):

        y  = x·m/(m + 2)
        dx = dy · (m/(m + 2) + x·4e·(1 + e)/(m + 2)²)

    Saved for the backward pass: x, because y falls before it rises and so does not determine x.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(mish(x).round(4))
        [-0.30339998  0.          1.944     ]
        >>> print(jax.vmap(jax.grad(mish))(x).round(4))
        [0.0592     0.59999996 1.0692999 ]

    Args:
        x: input, any shape, floats.

    Returns:
        y in the shape and dtype of x. A NaN makes y and the gradient NaN. −∞ gives NaN, from
        −∞·0, as in `jax.nn` and PyTorch. The derivative is 1 at ∞ and 0 at −∞; theirs is NaN.

    Raises:
        TypeError: x is not a floating-point array.

    The derivation: docs/derivations/activation.md.
    """
    return _mish(as_floats("mish", x))


def _mish_value(x: Array) -> Array:
    return x * _mish_gate(jnp.minimum(x, _mish_open(x)))[0]


def _mish_backward(x: Array, dy: Array) -> Array:
    x = jnp.clip(x, -800, _mish_open(x))
    gate, slope = _mish_gate(x)
    return dy * gate + dy * x * slope


def _mish_gate(x: Array) -> tuple[Array, Array]:
    """Return the gate and its derivative."""
    e = jnp.exp(x)
    m = e * (e + 2)
    return m / (m + 2), 4 * e * (1 + e) / jnp.square(m + 2)


def _mish_open(x: Array) -> int:
    """Return an x whose gate rounds to 1, with m² and its derivative still far from overflow."""
    return 12 if x.dtype.itemsize == 4 else 22


_mish = from_input(_mish_value, _mish_backward)


def glu(x: Shaped[Array, "*shape"], axis: int = -1) -> Shaped[Array, "*halved"]:
    r"""The gated linear unit: one half of x times the sigmoid of the other half.

    With x = (a, b) cut in half along the axis, σ the sigmoid of b, and dx = (da, db):

        y  = a·σ
        da = dy·σ
        db = dy·a·σ·(1 − σ)

    Saved for the backward pass: x.

    Example:
        >>> import jax.numpy as jnp
        >>> glu(jnp.array([3.0, 4.0, 0.0, 1e4])).tolist()
        [1.5, 4.0]

    Args:
        x: input, floats, of even size along the axis.
        axis: the axis along which x holds first a and then b.

    Returns:
        y in the dtype of x, half as large along the axis. A NaN in a or b makes that
        element of y NaN.

    Raises:
        TypeError: x is not a floating-point array, or axis is not an int.
        ValueError: x has no such axis, or the size of x along it is odd.

    The derivation: docs/derivations/activation.md.
    """
    x = as_floats("glu", x)
    axis = as_axis("glu", axis, x)
    if x.shape[axis] % 2:
        raise ValueError(f"glu: x must be of even size along axis {axis}, its shape is {x.shape}")
    return _glu(x, axis)


def _glu_value(x: Array, axis: int) -> Array:
    a, b = jnp.split(x, 2, axis)
    return a * lax.logistic(b)


def _glu_backward(x: Array, dy: Array, axis: int) -> Array:
    a, b = jnp.split(x, 2, axis)
    gate = lax.logistic(b)
    return jnp.concatenate([dy * gate, dy * a * (gate * (1 - gate))], axis)


_glu = from_input(_glu_value, _glu_backward)
