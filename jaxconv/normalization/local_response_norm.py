"""Local response norm: divide each number by a power of the squares in nearby channels."""

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
from jaxconv._core.shapes import Shaped


def local_response_norm(
    x: Shaped[Array, "N *spatial C"],
    size: int,
    *,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial C"]:
    r"""Divide each number by (k + α · mean square of `size` channels around it)^β, as in AlexNet.

    The window of channel c is W(c) = {c − ⌊size/2⌋, …, c + ⌊(size − 1)/2⌋}, with zeros outside x:

        D[c] = k + α/size · Σ_{j ∈ W(c)} x[j]²,        y[c] = x[c] · D[c]^−β

    x[c] is the numerator of its own y, and a term of D in every channel whose window holds c:

        dx[c] = dy[c] · D[c]^−β − 2αβ/size · x[c] · Σ_{j : c ∈ W(j)} dy[j] · x[j] · D[j]^(−β−1)

    Saved for the backward pass: x. D is computed again.

    The mean is the sum over the window divided by `size`, also where the window extends past the
    first or the last channel. This division, and the window of an even size (one channel more
    below than above), are those of PyTorch; AlexNet itself did not divide α by the size. Where
    D is 0 (k = 0, and all x in the window are 0), y is NaN for a positive β. A NaN makes y NaN
    in each channel whose window holds it, and dx in all channels of these windows.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[[1.0, 2.0, 3.0]]])
        >>> print(local_response_norm(x, 3, alpha=1.0).round(3))
        [[[0.47900003 0.545      0.855     ]]]

    Args:
        x: input, (N, *spatial, C) with 0 to 3 spatial dimensions.
        size: the number of channels in a window.
        alpha: α, the weight of the mean square.
        beta: β, the exponent.
        k: the value of D where all x in the window are 0.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y in the shape and dtype of x. 16-bit floats are computed in float32.

    Raises:
        TypeError: x is not a floating-point array, size is not an int, or alpha, beta or k is
            not a number.
        ValueError: size is below 1, x has another rank, or alpha, beta or k is not finite.

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
    # Behind the barrier, the summed values share no product with the last line: it rounds once.
    summed = lax.optimization_barrier(dy * wide * factor / damping)
    # Channel c is in the windows of c − ⌊(size − 1)/2⌋ to c + ⌊size/2⌋.
    seen = _window_sum(channel, (size - 1) // 2, size // 2, summed)
    return ((dy * factor - 2 * alpha * beta / size * wide * seen).astype(x.dtype),)


_respond = Rule(_respond_forward, _respond_backward, static=5, name="local_response_norm")


def _damping(channel: int, size: int, alpha: float, k: float, x: Array) -> Array:
    """Return D = k + α/size · Σ x², with the sum over the window of each channel."""
    return k + alpha / size * _window_sum(channel, size // 2, (size - 1) // 2, x * x)


def _window_sum(channel: int, below: int, above: int, x: Array) -> Array:
    """Sum over each channel, `below` channels before it and `above` after it; 0 outside x."""
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
