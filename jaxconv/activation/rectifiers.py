"""Rectifiers made of straight lines: relu, relu6, leaky_relu and prelu."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import (
    accumulator,
    aligned,
    as_array,
    as_float,
    check_floating,
    check_number,
)
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv.activation._rule import as_floats, from_mask, from_output

__all__ = ["leaky_relu", "prelu", "relu", "relu6"]


def relu(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""max(x, 0), elementwise.

        y  = max(x, 0)
        dx = dy where y > 0, else 0

    At the kink x = 0 the derivative is taken to be 0, as in `jax.nn.relu` and PyTorch.
    Saved for the backward pass: y and not x. A conv or dense layer that follows saves y as its
    input, so the two share one array.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 0.0, 2.0])
        >>> print(relu(x).round(4))
        [0. 0. 2.]
        >>> print(jax.vmap(jax.grad(relu))(x).round(4))
        [0. 0. 1.]

    Args:
        x: input, any shape; floats or integers.

    Returns:
        y in the shape and dtype of x. A NaN makes y NaN and the gradient 0.

    Raises:
        TypeError: x is not an array of numbers.

    The derivation: docs/derivations/activation.md.
    """
    x = as_array("relu", "x", x)
    check_number("relu", x=x)
    return _relu(x)


def _relu_forward(x: Array) -> tuple[Array, Array]:
    y = jnp.where(x <= 0, 0, x)  # not maximum(x, 0), whose own derivative at 0 is ½
    return y, y


def _relu_backward(y: Array, dy: Array) -> tuple[Array]:
    return (jnp.where(y > 0, dy, 0),)


_relu = Rule(_relu_forward, _relu_backward)


def relu6(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    r"""min(max(x, 0), 6), elementwise.

        y  = min(max(x, 0), 6)
        dx = dy where 0 < y < 6, else 0

    At the kinks 0 and 6 the derivative is taken to be 0, as in `jax.nn.relu6` and PyTorch.
    Saved for the backward pass: y.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-1.0, 3.0, 8.0])
        >>> print(relu6(x).round(4))
        [0. 3. 6.]
        >>> print(jax.vmap(jax.grad(relu6))(x).round(4))
        [0. 1. 0.]

    Args:
        x: input, any shape, floats.

    Returns:
        y in the shape and dtype of x. A NaN makes y NaN and the gradient 0 (PyTorch: dy).

    Raises:
        TypeError: x is not a floating-point array.

    The derivation: docs/derivations/activation.md.
    """
    return _relu6(as_floats("relu6", x))


def _relu6_value(x: Array) -> Array:
    return jnp.where(x <= 0, 0, jnp.where(x >= 6, 6, x))


def _relu6_backward(y: Array, dy: Array) -> Array:
    return jnp.where((y > 0) & (y < 6), dy, 0)


_relu6 = from_output(_relu6_value, _relu6_backward, exact=True)


def leaky_relu(x: Shaped[Array, "*shape"], negative_slope: float = 0.01) -> Shaped[Array, "*shape"]:
    r"""x where it is positive, and a small multiple of x where it is negative, elementwise.

    With s the negative slope:

        y  = x where x ≥ 0, else s·x
        dx = dy where x ≥ 0, else s·dy

    At the kink x = 0 the derivative is taken to be 1, as in `jax.nn.leaky_relu`; PyTorch takes s.
    Saved for the backward pass: one byte per element. (y has the sign of x only if s > 0.)

    Example:
        >>> import jax.numpy as jnp
        >>> leaky_relu(jnp.array([-2.0, 3.0]), 0.5).tolist()
        [-1.0, 3.0]

    Args:
        x: input, any shape, floats.
        negative_slope: s, any finite number.

    Returns:
        y in the shape and dtype of x. A NaN makes y NaN and the gradient s·dy.

    Raises:
        TypeError: x is not a floating-point array, or negative_slope is not a number.
        ValueError: negative_slope is not finite.

    The derivation: docs/derivations/activation.md.
    """
    x = as_floats("leaky_relu", x)
    slope = as_float("leaky_relu", "negative_slope", negative_slope)
    return _leaky_relu(x, slope)


def _leaky_relu_value(x: Array, slope: float) -> Array:
    return jnp.where(x >= 0, x, slope * x)


def _leaky_relu_kept(x: Array, slope: float) -> Array:
    return x >= 0


def _leaky_relu_backward(kept: Array, dy: Array, slope: float) -> Array:
    return jnp.where(kept, dy, slope * dy)


_leaky_relu = from_mask(_leaky_relu_value, _leaky_relu_kept, _leaky_relu_backward)


def prelu(
    x: Shaped[Array, "*shape"], alpha: Shaped[Array, "*#shape"] | Shaped[Array, "1"]
) -> Shaped[Array, "*shape"]:
    r"""x where it is positive, and a learned multiple of x where it is negative, elementwise.

        y  = x where x > 0, else α·x
        dx = dy where x > 0, else α·dy
        dα = Σ min(x, 0)·dy             over all elements that share the α

    At the kink x = 0 the derivative is taken to be α, as in PyTorch.
    Saved for the backward pass: x and α.

    Example:
        >>> import jax.numpy as jnp
        >>> x, alpha = jnp.array([-2.0, 3.0]), jnp.array([0.25, 0.5])
        >>> prelu(x, alpha).tolist()
        [-0.5, 3.0]

    Args:
        x: input, any shape, floats.
        alpha: α, of the dtype of x and any shape that broadcasts to that of x: () is one for
            all; (C,) one per channel of (N, *spatial, C); (C, 1, 1) one per channel of
            (N, C, H, W).

    Returns:
        y in the shape and dtype of x. A NaN makes y NaN and the gradient α·dy. For 16-bit floats
        dα is summed in float32.

    Raises:
        TypeError: x and alpha are not floating-point arrays of one dtype.
        ValueError: alpha does not broadcast to the shape of x.

    The derivation: docs/derivations/activation.md.
    """
    x, alpha = as_array("prelu", "x", x), as_array("prelu", "alpha", alpha)
    check_floating("prelu", x=x, alpha=alpha)
    if x.ndim == 0 and alpha.shape == (1,):
        alpha = alpha.reshape(())  # the shape in which PyTorch's layer keeps a single α
    try:
        fits = jnp.broadcast_shapes(alpha.shape, x.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"prelu: alpha must be (), (channels,) or broadcast in another way to x of shape"
            f" {x.shape}, but its shape is {alpha.shape}"
        )
    on_axes = (1,) * (x.ndim - alpha.ndim) + alpha.shape
    return _prelu(*aligned(x, alpha.reshape(on_axes)))


def _prelu_forward(x: Array, alpha: Array) -> tuple[Array, tuple[Array, Array]]:
    dtype = accumulator(x.dtype)
    x_wide = x.astype(dtype)
    y = jnp.where(x > 0, x_wide, alpha.astype(dtype) * x_wide)
    return y.astype(x.dtype), (x, alpha)


def _prelu_backward(residuals: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, alpha = residuals
    dtype = accumulator(x.dtype)
    dy = dy.astype(dtype)
    dx = jnp.where(x > 0, dy, alpha.astype(dtype) * dy)
    shared = tuple(axis for axis, n in enumerate(alpha.shape) if n == 1)
    d_alpha = jnp.sum(jnp.where(x > 0, 0, x).astype(dtype) * dy, axis=shared, keepdims=True)
    return dx.astype(x.dtype), d_alpha.astype(alpha.dtype)


_prelu = Rule(_prelu_forward, _prelu_backward)
