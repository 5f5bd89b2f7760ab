"""Reference implementations of the activations, differentiated by JAX."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import accumulator

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "hardshrink",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_sign",
    "softmax",
    "softplus",
    "softshrink",
    "squareplus",
    "tanh",
    "tanhshrink",
    "threshold",
]


def relu(x: Array) -> Array:
    """See `jaxconv.relu`."""
    return jax.nn.relu(x)


def relu6(x: Array) -> Array:
    """See `jaxconv.relu6`."""
    return jax.nn.relu6(x)


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """See `jaxconv.leaky_relu`."""
    return jax.nn.leaky_relu(_wide(x), negative_slope).astype(x.dtype)


def prelu(x: Array, alpha: Array) -> Array:
    """See `jaxconv.prelu`."""
    alpha = alpha.reshape((1,) * (x.ndim - alpha.ndim) + alpha.shape[-x.ndim :] if x.ndim else ())
    return jnp.where(x > 0, _wide(x), _wide(alpha) * _wide(x)).astype(x.dtype)


def hard_sigmoid(x: Array) -> Array:
    """See `jaxconv.hard_sigmoid`."""
    return jax.nn.hard_sigmoid(_wide(x)).astype(x.dtype)


def hard_silu(x: Array) -> Array:
    """See `jaxconv.hard_silu`."""
    return jax.nn.hard_silu(_wide(x)).astype(x.dtype)


def hard_tanh(x: Array) -> Array:
    """See `jaxconv.hard_tanh`."""
    return jax.nn.hard_tanh(x)


def softshrink(x: Array, lambd: float = 0.5) -> Array:
    """See `jaxconv.softshrink`."""
    x_wide = _wide(x)
    return jnp.where(jnp.abs(x_wide) <= lambd, 0, x_wide - lambd * jnp.sign(x_wide)).astype(x.dtype)


def hardshrink(x: Array, lambd: float = 0.5) -> Array:
    """See `jaxconv.hardshrink`."""
    return jnp.where((_wide(x) >= -lambd) & (_wide(x) <= lambd), 0, x)


def tanhshrink(x: Array) -> Array:
    """See `jaxconv.tanhshrink`."""
    return (_wide(x) - jnp.tanh(_wide(x))).astype(x.dtype)


def threshold(x: Array, threshold: float, value: float) -> Array:
    """See `jaxconv.threshold`."""
    return jnp.where(_wide(x) <= threshold, value, x)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """See `jaxconv.elu`."""
    return jax.nn.elu(_wide(x), alpha).astype(x.dtype)


def celu(x: Array, alpha: float = 1.0) -> Array:
    """See `jaxconv.celu`."""
    return jax.nn.celu(_wide(x), alpha).astype(x.dtype)


def selu(x: Array) -> Array:
    """See `jaxconv.selu`."""
    return jax.nn.selu(_wide(x)).astype(x.dtype)


def softplus(x: Array) -> Array:
    """See `jaxconv.softplus`."""
    return jax.nn.softplus(_wide(x)).astype(x.dtype)


def squareplus(x: Array, b: float = 4) -> Array:
    """See `jaxconv.squareplus`."""
    return jax.nn.squareplus(_wide(x), jnp.asarray(b, _wide(x).dtype)).astype(x.dtype)


def sigmoid(x: Array) -> Array:
    """See `jaxconv.sigmoid`."""
    return jax.nn.sigmoid(_wide(x)).astype(x.dtype)


def log_sigmoid(x: Array) -> Array:
    """See `jaxconv.log_sigmoid`."""
    return jax.nn.log_sigmoid(_wide(x)).astype(x.dtype)


def tanh(x: Array) -> Array:
    """See `jaxconv.tanh`."""
    return jnp.tanh(_wide(x)).astype(x.dtype)


def soft_sign(x: Array) -> Array:
    """See `jaxconv.soft_sign`."""
    return jax.nn.soft_sign(_wide(x)).astype(x.dtype)


def silu(x: Array) -> Array:
    """See `jaxconv.silu`."""
    return jax.nn.silu(_wide(x)).astype(x.dtype)


def gelu(x: Array, approximate: bool = True) -> Array:
    """See `jaxconv.gelu`."""
    return jax.nn.gelu(_wide(x), approximate).astype(x.dtype)


def mish(x: Array) -> Array:
    """See `jaxconv.mish`."""
    return jax.nn.mish(_wide(x)).astype(x.dtype)


def glu(x: Array, axis: int = -1) -> Array:
    """See `jaxconv.glu`."""
    return jax.nn.glu(_wide(x), axis).astype(x.dtype)


def softmax(x: Array, axis: int | Sequence[int] = -1) -> Array:
    """See `jaxconv.softmax`."""
    return jax.nn.softmax(_wide(x), _axes(axis)).astype(x.dtype)


def log_softmax(x: Array, axis: int | Sequence[int] = -1) -> Array:
    """See `jaxconv.log_softmax`."""
    return jax.nn.log_softmax(_wide(x), _axes(axis)).astype(x.dtype)


def _wide(x: Array) -> Array:
    """Return x with at least 32 bits, so that a 16-bit result is rounded only once, at the end."""
    return x.astype(accumulator(x.dtype))


def _axes(axis: int | Sequence[int]) -> int | tuple[int, ...]:
    return axis if isinstance(axis, int) else tuple(axis)
