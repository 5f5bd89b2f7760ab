"""Smooth rectifiers: elu, celu, selu, softplus and squareplus.

elu, celu and selu approach a floor −α, and near it their slope is the small difference y + α. It is
as accurate as exp only if the floats next to α are, relative to α, as dense as those next to 1,
that is if α is a power of two. For every other α the rule keeps x, and the backward pass computes
exp again: celu with α = 3 on [−12, −4] in float32 has a root mean square error of 4.5e-8 if dx is
computed from y, and of 2.0e-8 from x.
"""

import math

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import as_float
from jaxconv._core.shapes import Shaped
from jaxconv.activation._rule import as_floats, from_input, from_output
from jaxconv.activation._saturation import one_minus_exp

__all__ = ["celu", "elu", "selu", "softplus", "squareplus"]


def elu(x: Shaped[Array, "*shape"], alpha: float = 1.0) -> Shaped[Array, "*shape"]:
    r"""The exponential linear unit, elementwise.

        y  = x where x > 0, else α·(exp(x) − 1)
        dx = dy where x > 0, else dy·α·exp(x)

    If α ≥ 0, α·exp(x) = y + α, and y tells the sign of x. If α is not 1, x = 0 is a kink; the
    derivative there is taken to be α, as in `jax.nn.elu` and PyTorch.
    Saved for the backward pass: y if α is 0 or a positive power of two, otherwise x, from which
    α·exp(x) is more accurate. (If α is negative, y does not tell the sign of x.) For 16-bit floats
    it is always x, because their y is rounded.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(elu(x).round(4))
        [-0.6321  0.      2.    ]
        >>> print(jax.vmap(jax.grad(elu))(x).round(4))
        [0.36789998 1.         1.        ]

    Args:
        x: input, any shape, floats.
        alpha: α; y tends to −α as x → −∞.

    Returns:
        y in the shape and dtype of x. A NaN makes y and the gradient NaN (PyTorch: dy).

    Raises:
        TypeError: x is not a floating-point array, or alpha is not a number.
        ValueError: alpha is not finite.

    The derivation: docs/derivations/activation.md.
    """
    x, alpha = as_floats("elu", x), as_float("elu", "alpha", alpha)
    from_y = alpha == 0 or (alpha > 0 and _is_power_of_two(alpha))
    return _elu(x, alpha) if from_y else _elu_of_input(x, alpha)


def _is_power_of_two(alpha: float) -> bool:
    return abs(math.frexp(alpha)[0]) == 0.5


def _elu_value(x: Array, alpha: float) -> Array:
    # An exp that overflows where it is not chosen would spoil the second derivative.
    return jnp.where(x > 0, x, -alpha * one_minus_exp(jnp.where(x > 0, 0, -x)))


def _elu_backward(y: Array, dy: Array, alpha: float) -> Array:
    return dy * jnp.where(y > 0, 1, y + alpha)


def _elu_backward_of_input(x: Array, dy: Array, alpha: float) -> Array:
    return dy * jnp.where(x > 0, 1, alpha * jnp.exp(jnp.where(x > 0, 0, x)))


_elu = from_output(_elu_value, _elu_backward)
_elu_of_input = from_input(_elu_value, _elu_backward_of_input)


def celu(x: Shaped[Array, "*shape"], alpha: float = 1.0) -> Shaped[Array, "*shape"]:
    r"""The exponential linear unit whose derivative is continuous for every α, elementwise.

        y  = x where x > 0, else α·(exp(x/α) − 1)
        dx = dy where y > 0, else dy·(y/α + 1)

    since exp(x/α) = y/α + 1.
    Saved for the backward pass: y if |α| is a power of two, otherwise x, from which exp(x/α) is
    more accurate. For 16-bit floats it is always x, because their y is rounded.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(celu(x).round(4))
        [-0.6321  0.      2.    ]
        >>> print(jax.vmap(jax.grad(celu))(x).round(4))
        [0.36789998 1.         1.        ]

    Args:
        x: input, any shape, floats.
        alpha: α, not 0; if it is positive, y tends to −α as x → −∞.

    Returns:
        y in the shape and dtype of x. A NaN makes y and the gradient NaN (PyTorch: dy).

    Raises:
        TypeError: x is not a floating-point array, or alpha is not a number.
        ValueError: alpha is 0 or not finite.

    The derivation: docs/derivations/activation.md.
    """
    x, number = as_floats("celu", x), as_float("celu", "alpha", alpha)
    if number == 0:
        raise ValueError(f"celu: alpha must not be 0, but got {alpha!r}")
    return _celu(x, number) if _is_power_of_two(number) else _celu_of_input(x, number)


def _celu_value(x: Array, alpha: float) -> Array:
    below = jnp.where(x > 0, 0, x) / alpha
    curve = -one_minus_exp(-below) if alpha > 0 else jnp.expm1(below)
    return jnp.where(x > 0, x, alpha * curve)


def _celu_backward(y: Array, dy: Array, alpha: float) -> Array:
    return dy * jnp.where(y > 0, 1, y / alpha + 1)


def _celu_backward_of_input(x: Array, dy: Array, alpha: float) -> Array:
    return dy * jnp.where(x > 0, 1, jnp.exp(jnp.where(x > 0, 0, x) / alpha))


_celu = from_output(_celu_value, _celu_backward)
_celu_of_input = from_input(_celu_value, _celu_backward_of_input)


_SELU_SCALE = 1.0507009873554805
_SELU_FLOOR = _SELU_SCALE * 1.6732632423543772


def selu(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""The self-normalizing exponential linear unit, elementwise.

        y  = λ·x where x > 0, else λ·α·(exp(x) − 1),      λ = 1.05070…,  α = 1.67326…
        dx = λ·dy where x > 0, else dy·λ·α·exp(x)

    With these λ and α a standard normal x gives a y of mean 0 and variance 1.
    At the kink x = 0 the derivative is taken to be λ·α, as in `jax.nn.selu` and PyTorch.
    Saved for the backward pass: x, from which λ·α·exp(x) is more accurate than y + λ·α.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(selu(x).round(4))
        [-1.1113  0.      2.1014]
        >>> print(jax.vmap(jax.grad(selu))(x).round(4))
        [0.6468    1.7580999 1.0507   ]

    Args:
        x: input, any shape, floats.

    Returns:
        y in the shape and dtype of x. A NaN makes y and the gradient NaN (PyTorch: λ·dy).

    Raises:
        TypeError: x is not a floating-point array.

    The derivation: docs/derivations/activation.md.
    """
    return _selu(as_floats("selu", x))


def _selu_value(x: Array) -> Array:
    curve = -_SELU_FLOOR * one_minus_exp(jnp.where(x > 0, 0, -x))
    return jnp.where(x > 0, _SELU_SCALE * x, curve)


def _selu_backward(x: Array, dy: Array) -> Array:
    return dy * jnp.where(x > 0, _SELU_SCALE, _SELU_FLOOR * jnp.exp(jnp.where(x > 0, 0, x)))


_selu = from_input(_selu_value, _selu_backward)


def softplus(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""log(1 + exp(x)), elementwise.

        y  = log(1 + exp(x))
        dx = dy · (1 − exp(−y))

    since exp(y) = 1 + exp(x), so 1 − exp(−y) = exp(x)/(1 + exp(x)), the sigmoid of x.
    Saved for the backward pass: y (for 16-bit floats x instead, because their y is rounded).

    Example:
        >>> import jax.numpy as jnp
        >>> softplus(jnp.array([-1e4, 0.0, 1e4])).tolist()  # log 2 in the middle
        [0.0, 0.6931471824645996, 10000.0]

    Args:
        x: input, any shape, floats.

    Returns:
        y in the shape and dtype of x, accurate however large x is (PyTorch returns x above 20).
        A NaN makes y and the gradient NaN.

    Raises:
        TypeError: x is not a floating-point array.

    The derivation: docs/derivations/activation.md.
    """
    return _softplus(as_floats("softplus", x))


def _softplus_value(x: Array) -> Array:
    return jnp.logaddexp(x, 0)


def _softplus_backward(y: Array, dy: Array) -> Array:
    return dy * one_minus_exp(y)


_softplus = from_output(_softplus_value, _softplus_backward)


def squareplus(x: Shaped[Array, "*shape"], b: float = 4) -> Shaped[Array, "*shape"]:
    r"""A smooth rectifier in the shape of a hyperbola, elementwise.

        y  = ½·(x + √(x² + b))
        dx = dy · ½·(1 + x/√(x² + b))

    Saved for the backward pass: x.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(squareplus(x).round(4))
        [0.618     1.        2.4141998]
        >>> print(jax.vmap(jax.grad(squareplus))(x).round(4))
        [0.2764     0.5        0.85359997]

    Args:
        x: input, any shape, floats.
        b: a positive number, the roundness of the bend: y(0) = ½·√b, and b → 0 gives relu.

    Returns:
        y in the shape and dtype of x. A NaN makes y and the gradient NaN. −∞ gives NaN, from
        ∞ − ∞, as in `jax.nn`. The derivative is 1 at ∞ and 0 at −∞.

    Raises:
        TypeError: x is not a floating-point array, or b is not a number.
        ValueError: b is not positive or not finite.

    The derivation: docs/derivations/activation.md.
    """
    x, number = as_floats("squareplus", x), as_float("squareplus", "b", b)
    if number <= 0:
        raise ValueError(f"squareplus: b must be positive, but got {b!r}")
    return _squareplus(x, number)


def _squareplus_value(x: Array, b: float) -> Array:
    return (x + jnp.sqrt(jnp.square(x) + b)) / 2


def _squareplus_backward(x: Array, dy: Array, b: float) -> Array:
    x = jnp.clip(x, -(2.0**60), 2.0**60)  # y is straight far inside; x² must not overflow
    return (dy + dy * (x / jnp.sqrt(jnp.square(x) + b))) / 2


_squareplus = from_input(_squareplus_value, _squareplus_backward)
