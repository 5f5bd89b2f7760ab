"""Reference implementations of the activations, differentiated by JAX."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import accumulator
from jaxconv._core.shapes import Shaped

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


def relu(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.relu`."""
    return jax.nn.relu(x)


def relu6(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.relu6`."""
    return jax.nn.relu6(x)


def leaky_relu(x: Shaped[Array, "*shape"], negative_slope: float = 0.01) -> Shaped[Array, "*shape"]:
    """See `jaxconv.leaky_relu`."""
    return jax.nn.leaky_relu(_wide(x), negative_slope).astype(x.dtype)


def prelu(
    x: Shaped[Array, "*shape"], alpha: Shaped[Array, "*#shape"] | Shaped[Array, "1"]
) -> Shaped[Array, "*shape"]:
    """See `jaxconv.prelu`."""
    alpha = alpha.reshape((1,) * (x.ndim - alpha.ndim) + alpha.shape[-x.ndim :] if x.ndim else ())
    return jnp.where(x > 0, _wide(x), _wide(alpha) * _wide(x)).astype(x.dtype)


def hard_sigmoid(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.hard_sigmoid`."""
    return jax.nn.hard_sigmoid(_wide(x)).astype(x.dtype)


def hard_silu(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.hard_silu`."""
    return jax.nn.hard_silu(_wide(x)).astype(x.dtype)


def hard_tanh(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.hard_tanh`."""
    return jax.nn.hard_tanh(x)


def softshrink(x: Shaped[Array, "*shape"], lambd: float = 0.5) -> Shaped[Array, "*shape"]:
    """See `jaxconv.softshrink`."""
    x_wide = _wide(x)
    return jnp.where(jnp.abs(x_wide) <= lambd, 0, x_wide - lambd * jnp.sign(x_wide)).astype(x.dtype)


def hardshrink(x: Shaped[Array, "*shape"], lambd: float = 0.5) -> Shaped[Array, "*shape"]:
    """See `jaxconv.hardshrink`."""
    return jnp.where((_wide(x) >= -lambd) & (_wide(x) <= lambd), 0, x)


def tanhshrink(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.tanhshrink`."""
    return (_wide(x) - jnp.tanh(_wide(x))).astype(x.dtype)


def threshold(
    x: Shaped[Array, "*shape"], threshold: float, value: float
) -> Shaped[Array, "*shape"]:
    """See `jaxconv.threshold`."""
    return jnp.where(_wide(x) <= threshold, value, x)


def elu(x: Shaped[Array, "*shape"], alpha: float = 1.0) -> Shaped[Array, "*shape"]:
    """See `jaxconv.elu`."""
    return jax.nn.elu(_wide(x), alpha).astype(x.dtype)


def celu(x: Shaped[Array, "*shape"], alpha: float = 1.0) -> Shaped[Array, "*shape"]:
    """See `jaxconv.celu`."""
    return jax.nn.celu(_wide(x), alpha).astype(x.dtype)


def selu(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.selu`."""
    return jax.nn.selu(_wide(x)).astype(x.dtype)


def softplus(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.softplus`."""
    return jax.nn.softplus(_wide(x)).astype(x.dtype)


def squareplus(x: Shaped[Array, "*shape"], b: float = 4) -> Shaped[Array, "*shape"]:
    """See `jaxconv.squareplus`."""
    return jax.nn.squareplus(_wide(x), jnp.asarray(b, _wide(x).dtype)).astype(x.dtype)


def sigmoid(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.sigmoid`."""
    return jax.nn.sigmoid(_wide(x)).astype(x.dtype)


def log_sigmoid(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.log_sigmoid`."""
    return jax.nn.log_sigmoid(_wide(x)).astype(x.dtype)


def tanh(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.tanh`."""
    return jnp.tanh(_wide(x)).astype(x.dtype)


def soft_sign(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.soft_sign`."""
    return jax.nn.soft_sign(_wide(x)).astype(x.dtype)


def silu(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.silu`."""
    return jax.nn.silu(_wide(x)).astype(x.dtype)


def gelu(x: Shaped[Array, "*shape"], approximate: bool = True) -> Shaped[Array, "*shape"]:
    """See `jaxconv.gelu`."""
    return jax.nn.gelu(_wide(x), approximate).astype(x.dtype)


def mish(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """See `jaxconv.mish`."""
    return jax.nn.mish(_wide(x)).astype(x.dtype)


def glu(x: Shaped[Array, "*shape"], axis: int = -1) -> Shaped[Array, "*halved"]:
    """See `jaxconv.glu`."""
    return jax.nn.glu(_wide(x), axis).astype(x.dtype)


def softmax(x: Shaped[Array, "*shape"], axis: int | Sequence[int] = -1) -> Shaped[Array, "*shape"]:
    """See `jaxconv.softmax`."""
    return jax.nn.softmax(_wide(x), _axes(axis)).astype(x.dtype)


def log_softmax(
    x: Shaped[Array, "*shape"], axis: int | Sequence[int] = -1
) -> Shaped[Array, "*shape"]:
    """See `jaxconv.log_softmax`."""
    return jax.nn.log_softmax(_wide(x), _axes(axis)).astype(x.dtype)


def _wide(x: Array) -> Array:
    """Return x with at least 32 bits, so that a 16-bit result is rounded only once, at the end."""
    return x.astype(accumulator(x.dtype))


def _axes(axis: int | Sequence[int]) -> int | tuple[int, ...]:
    return axis if isinstance(axis, int) else tuple(axis)
