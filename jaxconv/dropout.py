"""Dropout: parts of x left out by chance while training."""

from functools import partial
from typing import Any

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


def dropout(x: Array, rate: float, key: Array, *, broadcast_axes: IntOrInts = ()) -> Array:
    r"""x with each element dropped (set to 0) by chance, the others scaled up.

        m  = 1 with probability 1 − rate, else 0              drawn anew for each element
        y  = m · x / (1 − rate)
        dx = m · dy / (1 − rate)

    so y is x on average, and where not to drop, in evaluation, is not to call. What is dropped
    is 0 even where it is NaN or infinite, forward and backward (PyTorch: NaN).

    The mask is `jax.random.bernoulli(key, 1 - rate, shape)`, that of Flax for the same key.
    Saved for the backward pass: the mask, one bit an element. To draw it again from the key
    would need no bit, and takes fifteen times as long on a CPU.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> dropout(jnp.ones(6), 0.5, jax.random.key(0)).tolist()
        [0.0, 0.0, 2.0, 2.0, 0.0, 2.0]

    Args:
        x: input, any shape.
        rate: the probability to drop, a number in [0, 1] known while tracing. 0 gives x, 1
            gives 0, both without drawing anything.
        key: one key of `jax.random.key` or `jax.random.PRNGKey`. It has no gradient. The same
            key drops the same elements: split a new one for each call. Inside `jax.shard_map`
            fold the device's index into it.
        broadcast_axes: axes (an int or several, negative ones count from the end) along which
            elements are dropped together: (1, 2) drops whole channels of (N, H, W, C).

    Returns:
        y in the shape and dtype of x.

    Raises:
        TypeError: x is no array of floats, rate no number, key no key, an axis no int.
        ValueError: rate outside [0, 1], several keys, or an axis that x does not have or that
            comes twice.

    The derivation: docs/derivations/dropout.md.
    """
    op = "dropout"
    x = as_array(op, "x", x)
    check_floating(op, x=x)
    rate = _as_rate(op, rate)
    key = as_key(op, "key", key)
    together = as_axes(op, "broadcast_axes", broadcast_axes, x, minimum=0)
    return _drop(x, rate, key, tuple(1 if i in together else n for i, n in enumerate(x.shape)))


def drop_path(x: Array, rate: float, key: Array) -> Array:
    r"""x with each example dropped (set to 0) by chance, the others scaled up.

        m[n]     = 1 with probability 1 − rate, else 0        drawn anew for each example
        y[n, …]  = m[n] · x[n, …] / (1 − rate)
        dx[n, …] = m[n] · dy[n, …] / (1 − rate)

    Stochastic depth: with `h + drop_path(block(h), rate, key)` some examples skip the block.
    It is `dropout` with all axes but the first broadcast, and all said there holds. Saved for
    the backward pass: one byte an example.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> drop_path(jnp.ones((4, 2)), 0.5, jax.random.key(0)).tolist()
        [[0.0, 0.0], [0.0, 0.0], [2.0, 2.0], [2.0, 2.0]]

    Args:
        x: input, (N, …).
        rate: the probability to drop, a number in [0, 1] known while tracing.
        key: one key of `jax.random.key` or `jax.random.PRNGKey`. It has no gradient.

    Returns:
        y in the shape and dtype of x.

    Raises:
        TypeError: x is no array of floats, rate no number, or key no key.
        ValueError: rate outside [0, 1], several keys, or x without axes.

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
    return _drawn(1 - rate, shape, x, key)


@partial(jax.jit, static_argnums=(0, 1), inline=True)
def _drawn(keep: float, shape: tuple[int, ...], x: Array, key: Array) -> Array:
    kept = jax.random.bernoulli(key, keep, shape)
    return _masked(keep, shape, *aligned(x, kept))


def _masked_forward(
    keep: float, shape: tuple[int, ...], x: Array, kept: Array
) -> tuple[Array, Array]:
    # Along one axis, not flat: an array sharded over another stays where it is. How many bits an
    # axis of unknown size leaves over in its last byte is unknown, too, so there they stay bytes.
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


_masked = Rule(_masked_forward, _masked_backward, static=2)


def _scaled(keep: float, x: Array, kept: Array) -> Array:
    wide = x.astype(accumulator(x.dtype))
    return jnp.where(kept, wide / keep, 0).astype(x.dtype)


def _as_rate(op: str, rate: Any) -> float:
    number = as_float(op, "rate", rate)
    if not 0 <= number <= 1:
        raise ValueError(f"{op}: rate must be in [0, 1], but got {rate!r}")
    return number
