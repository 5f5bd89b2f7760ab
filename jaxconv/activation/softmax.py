"""Softmax and log-softmax, in which each y depends on all x along an axis."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import as_axes
from jaxconv._core.shapes import Shaped
from jaxconv.activation._rule import as_floats, from_output

__all__ = ["log_softmax", "softmax"]


def softmax(x: Shaped[Array, "*shape"], axis: int | Sequence[int] = -1) -> Shaped[Array, "*shape"]:
    r"""exp(x) divided by its sum along the axis.

        y_c  = exp(x_c) / Σ_j exp(x_j)
        dx_c = y_c · (dy_c − Σ_j y_j·dy_j)

    since ∂y_j/∂x_c = y_j·([j = c] − y_c).
    Saved for the backward pass: y (for 16-bit floats x instead, because their y is rounded).

    Example:
        >>> import jax.numpy as jnp
        >>> softmax(jnp.array([1e4, 1e4, -jnp.inf])).tolist()
        [0.5, 0.5, 0.0]

    Args:
        x: input, floats, with at least one axis.
        axis: the axis of the sum, or several axes that are summed over together.

    Returns:
        y in the shape and dtype of x; large x do not overflow. Where x is −∞ (a masked score), y
        and dx are 0. A NaN, a +∞, or −∞ everywhere along the axis makes y and dx NaN, as in
        `jax.nn` and PyTorch.

    Raises:
        TypeError: x is not a floating-point array, or axis is neither an int nor ints.
        ValueError: x has no such axis, or an axis is given twice.

    The derivation: docs/derivations/activation.md.
    """
    x = as_floats("softmax", x)
    return _softmax(x, as_axes("softmax", "axis", axis, x))


def _softmax_value(x: Array, axes: tuple[int, ...]) -> Array:
    e = jnp.exp(_shifted(x, axes))
    return e / jnp.sum(e, axes, keepdims=True)


def _softmax_backward(y: Array, dy: Array, axes: tuple[int, ...]) -> Array:
    return y * (dy - jnp.sum(y * dy, axes, keepdims=True))


_softmax = from_output(_softmax_value, _softmax_backward)


def log_softmax(
    x: Shaped[Array, "*shape"], axis: int | Sequence[int] = -1
) -> Shaped[Array, "*shape"]:
    r"""The logarithm of softmax(x).

        y_c  = x_c − log Σ_j exp(x_j)
        dx_c = dy_c − exp(y_c) · Σ_j dy_j

    since exp(y) is the softmax of x.
    Saved for the backward pass: y (for 16-bit floats x instead, because their y is rounded).

    Example:
        >>> import jax.numpy as jnp
        >>> print(log_softmax(jnp.array([0.0, jnp.log(3.0)])).round(4))
        [-1.3863 -0.2877]

    Args:
        x: input, floats, with at least one axis.
        axis: the axis of the sum, or several axes that are summed over together.

    Returns:
        y in the shape and dtype of x; large x do not overflow. Where x is −∞ (a masked score), y
        is −∞ and dx = dy, which is 0 unless the loss depends on this y. A NaN, a +∞, or −∞
        everywhere along the axis makes y and dx NaN, as in `jax.nn` and PyTorch.

    Raises:
        TypeError: x is not a floating-point array, or axis is neither an int nor ints.
        ValueError: x has no such axis, or an axis is given twice.

    The derivation: docs/derivations/activation.md.
    """
    x = as_floats("log_softmax", x)
    return _log_softmax(x, as_axes("log_softmax", "axis", axis, x))


def _log_softmax_value(x: Array, axes: tuple[int, ...]) -> Array:
    shifted = _shifted(x, axes)
    return shifted - jnp.log(jnp.sum(jnp.exp(shifted), axes, keepdims=True))


def _log_softmax_backward(y: Array, dy: Array, axes: tuple[int, ...]) -> Array:
    return dy - jnp.exp(y) * jnp.sum(dy, axes, keepdims=True)


_log_softmax = from_output(_log_softmax_value, _log_softmax_backward)


def _shifted(x: Array, axes: tuple[int, ...]) -> Array:
    """Return x minus its maximum, so that exp cannot overflow; it cancels, and so has no slope."""
    return x - lax.stop_gradient(jnp.max(x, axes, keepdims=True, initial=-jnp.inf))
