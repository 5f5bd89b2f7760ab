"""Local response norm: each number by the squares of its neighbours in channel."""

from functools import reduce

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import (
    Layout,
    accumulator,
    as_array,
    as_float,
    as_int,
    check_floating,
)
from jaxconv._core.doubling import LONG_SUM, running_sum
from jaxconv._core.geometry import image_axes
from jaxconv._core.rule import Rule


def local_response_norm(
    x: Array,
    size: int,
    *,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    layout: Layout = "channels_last",
) -> Array:
    r"""Each number divided by a power of the mean square around its channel (AlexNet's norm).

    The window of channel c is W(c) = {c − ⌊size/2⌋, …, c + ⌊(size − 1)/2⌋}, with zeros outside x:

        D[c] = k + α/size · Σ_{j ∈ W(c)} x[j]²,        y[c] = x[c] · D[c]^−β

    x[c] is numerator of its own y, and in the D of every channel whose window it is in:

        dx[c] = dy[c] · D[c]^−β − 2αβ/size · x[c] · Σ_{j : c ∈ W(j)} dy[j] · x[j] · D[j]^(−β−1)

    Saved for the backward pass: x. D is computed again.

    The division by `size`, and the window of an even size (one more below than above), are those
    of PyTorch; AlexNet's own α was not divided. Where D is 0 (k = 0 and zeros around) y is NaN
    for a positive β. NaN spoils the windows it is in.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[[1.0, 2.0, 3.0]]])
        >>> print(local_response_norm(x, 3, alpha=1.0).round(3))
        [[[0.47900003 0.545      0.855     ]]]

    Args:
        x: input, (N, *spatial, C) with 0 to 3 spatial dimensions.
        size: channels in a window.
        alpha: α, the weight of the mean square.
        beta: β, the exponent.
        k: what D is where x is 0.
        layout: "channels_first" is (N, C, *spatial).

    Returns:
        y in the shape and dtype of x. 16-bit floats are computed with in float32.

    Raises:
        TypeError: x no array of floats, size no int, or alpha, beta or k no number.
        ValueError: size below 1, x of another rank, or a number that is not finite.

    The derivation: docs/derivations/normalization.md.
    """
    op = "local_response_norm"
    x = as_array(op, "x", x)
    check_floating(op, x=x)
    _, channel = image_axes(op, x, layout, fewest=0)
    size = as_int(op, "size", size, 1)
    numbers = (as_float(op, name, v) for name, v in (("alpha", alpha), ("beta", beta), ("k", k)))
    return _respond(channel, size, *numbers, x)


def _value(channel: int, size: int, alpha: float, beta: float, k: float, x: Array) -> Array:
    wide = x.astype(accumulator(x.dtype))
    return (wide * _damping(channel, size, alpha, k, wide) ** -beta).astype(x.dtype)


def _respond_forward(
    channel: int, size: int, alpha: float, beta: float, k: float, x: Array
) -> tuple[Array, Array]:
    return _value(channel, size, alpha, beta, k, x), x


def _respond_backward(
    channel: int, size: int, alpha: float, beta: float, k: float, x: Array, dy: Array
) -> tuple[Array]:
    wide = x.astype(accumulator(x.dtype))
    damping = _damping(channel, size, alpha, k, wide)
    factor = damping**-beta
    dy = dy.astype(wide.dtype)
    # Behind a barrier, what is summed shares no product with the last line, which rounds once.
    summed = lax.optimization_barrier(dy * wide * factor / damping)
    # Channel c is in the windows of c − ⌊(size − 1)/2⌋ to c + ⌊size/2⌋.
    seen = _window_sum(channel, (size - 1) // 2, size // 2, summed)
    return ((dy * factor - 2 * alpha * beta / size * wide * seen).astype(x.dtype),)


_respond = Rule(_respond_forward, _respond_backward, static=5)


def _damping(channel: int, size: int, alpha: float, k: float, x: Array) -> Array:
    """D, the number that grows with the squares in a window."""
    return k + alpha / size * _window_sum(channel, size // 2, (size - 1) // 2, x * x)


def _window_sum(channel: int, below: int, above: int, x: Array) -> Array:
    """For each channel the sum from so many below it to so many above it; nothing outside x."""
    channels = x.shape[channel]
    below, above = min(below, channels), min(above, channels)
    widths = [(below, above) if axis == channel else (0, 0) for axis in range(x.ndim)]
    padded = jnp.pad(x, widths)
    if below + above >= LONG_SUM:
        return running_sum(channel, below + above + 1, padded)
    views = (
        lax.slice_in_dim(padded, start, start + channels, axis=channel)
        for start in range(below + above + 1)
    )
    return reduce(jnp.add, views)
