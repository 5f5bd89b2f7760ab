"""Dropout: during training, set random parts of x to 0."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import (
    IntOrInts,
    accumulator,
    aligned,
    as_array,
    as_axes,
    as_float,
    as_key,
    check_floating,
)
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped


def dropout(
    x: Shaped[Array, "*shape"],
    rate: float,
    key: Shaped[Array, ""] | Shaped[Array, "words"],
    *,
    broadcast_axes: IntOrInts = (),
) -> Shaped[Array, "*shape"]:
    r"""Drop random elements of x (set them to 0) and scale up the others.

        m  = 1 with probability 1 − rate, else 0              drawn anew for each element
        y  = m · x / (1 − rate)
        dx = m · dy / (1 − rate)

    so y equals x on average, and in evaluation you simply do not call it. A dropped element is 0
    in the forward and the backward pass even if it is NaN or infinite (PyTorch gives NaN).

    The mask is `jax.random.bernoulli(key, 1 - rate, shape)`; Flax draws the same mask for the same
    key. Saved for the backward pass: the mask, one bit per element. Drawing it again from the key
    would need no memory, but takes fifteen times as long as applying it on a CPU.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> dropout(jnp.ones(6), 0.5, jax.random.key(0)).tolist()
        [0.0, 0.0, 2.0, 2.0, 0.0, 2.0]

    Args:
        x: input, any shape.
        rate: the probability of dropping an element, a number in [0, 1] that is known while
            tracing. 0 returns x and 1 returns zeros, both without drawing a mask.
        key: one key of `jax.random.key` or `jax.random.PRNGKey`. It has no gradient. The same
            key drops the same elements, so split off a new key for each call. Inside
            `jax.shard_map`, fold the index of the device into the key.
        broadcast_axes: axes (an int or several, negative ones count from the end) along which
            elements are dropped together: (1, 2) drops whole channels of (N, H, W, C).

    Returns:
        y in the shape and dtype of x.

    Raises:
        TypeError: x is not a floating-point array, rate is not a number, key is not a key, or an
            axis is not an int.
        ValueError: rate is outside [0, 1], key holds several keys, or an axis is given twice or
            does not exist in x.

    The derivation: docs/derivations/dropout.md.
    """
    op = "dropout"
    x = as_array(op, "x", x)
    check_floating(op, x=x)
    rate = _as_rate(op, rate)
    key = as_key(op, "key", key)
    together = as_axes(op, "broadcast_axes", broadcast_axes, x, minimum=0)
    return _drop(x, rate, key, tuple(1 if i in together else n for i, n in enumerate(x.shape)))


def drop_path(
    x: Shaped[Array, "N *rest"], rate: float, key: Shaped[Array, ""] | Shaped[Array, "words"]
) -> Shaped[Array, "N *rest"]:
    r"""Drop random examples of x (set them to 0) and scale up the others.

        m[n]     = 1 with probability 1 − rate, else 0        drawn anew for each example
        y[n, …]  = m[n] · x[n, …] / (1 − rate)
        dx[n, …] = m[n] · dy[n, …] / (1 − rate)

    This is stochastic depth: with `h + drop_path(block(h), rate, key)` some examples skip the
    block. It is `dropout` with all axes except the first in `broadcast_axes`. Saved for the
    backward pass: at most one byte per example.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> drop_path(jnp.ones((4, 2)), 0.5, jax.random.key(0)).tolist()
        [[0.0, 0.0], [0.0, 0.0], [2.0, 2.0], [2.0, 2.0]]

    Args:
        x: input, (N, …).
        rate: the probability of dropping an example, a number in [0, 1] that is known while
            tracing.
        key: one key of `jax.random.key` or `jax.random.PRNGKey`, a new one for each call. It has
            no gradient.

    Returns:
        y in the shape and dtype of x.

    Raises:
        TypeError: x is not a floating-point array, rate is not a number, or key is not a key.
        ValueError: rate is outside [0, 1], key holds several keys, or x has no axes.

    The derivation: docs/derivations/dropout.md.
    """
    op = "drop_path"
    x = as_array(op, "x", x)
    check_floating(op, x=x)
    if x.ndim == 0:
        raise ValueError(f"{op}: x must be (N, ...), but its shape is ()")
    rate = _as_rate(op, rate)
    key = as_key(op, "key", key)
    return _drop(x, rate, key, (x.shape[0], *(1,) * (x.ndim - 1)))


def _drop(x: Array, rate: float, key: Array, shape: tuple[int, ...]) -> Array:
    if rate == 0 or x.size == 0:
        return x
    if rate == 1:
        return jnp.zeros_like(x)
    return _masked(1 - rate, shape, *aligned(x, _drawn(1 - rate, shape, key)))


@partial(jax.jit, static_argnums=(0, 1), inline=True)
def _drawn(keep: float, shape: tuple[int, ...], key: Array) -> Array:
    return jax.random.bernoulli(key, keep, shape)


def _masked_forward(
    keep: float, shape: tuple[int, ...], x: Array, kept: Array
) -> tuple[Array, Array]:
    # Only the last axis is packed, so that an array sharded over another axis stays where it is.
    # If its size is a symbol (`jax.export`), so is the number of unused bits in the last byte, and
    # the mask is kept unpacked.
    packed = jnp.packbits(jnp.atleast_1d(kept), axis=-1) if _is_packed(shape) else kept
    return _scaled(keep, x, kept), packed


def _is_packed(shape: tuple[int, ...]) -> bool:
    return all(isinstance(size, int) for size in shape[-1:])


def _masked_backward(
    keep: float, shape: tuple[int, ...], bits: Array, dy: Array
) -> tuple[Array, None]:
    if _is_packed(shape):
        count = shape[-1] if shape else 1
        bits = jnp.unpackbits(bits, axis=-1, count=count).astype(bool).reshape(shape)
    return _scaled(keep, dy, bits), None


_masked = Rule(_masked_forward, _masked_backward, static=2, name="dropout or drop_path")


def _scaled(keep: float, x: Array, kept: Array) -> Array:
    wide = x.astype(accumulator(x.dtype))
    return jnp.where(kept, wide / keep, 0).astype(x.dtype)


def _as_rate(op: str, rate: object) -> float:
    number = as_float(op, "rate", rate)
    if not 0 <= number <= 1:
        raise ValueError(f"{op}: rate must be in [0, 1], but got {rate!r}")
    return number
