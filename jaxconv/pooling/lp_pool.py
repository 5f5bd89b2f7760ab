"""Power pooling: the p-norm of each window."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import (
    IntOrInts,
    Layout,
    Padding,
    accumulator,
    as_array,
    as_float,
    check_floating,
)
from jaxconv._core.geometry import Windows, make_windows
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv._core.windows import sum_back, window_sum


def lp_pool(
    x: Shaped[Array, "N *spatial C"],
    window: IntOrInts,
    p: float,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial_out C"]:
    r"""The p-norm of each window.

        y[n, i, c]  = (Σ_a |x̃[n, s·i + a − low, c]|^p)^(1/p),        x̃ = 0 outside x

        dx[n, q, c] = sign(x)·|x|^(p−1) · Σ_{i,a : s·i + a − low = q} dy[n, i, c] · y^(1−p)

    with x at (n, q, c) and y at (n, i, c). p = 1 gives the sum of absolute values, p = 2 the
    length of the window as a vector, and the larger p is, the closer y gets to the largest |x|.

    At x = 0 the derivative is taken to be 0 for every p: |x|^p has a kink there if p ≤ 1, and
    the norm has one at a window of zeros for every p. Saved for the backward pass: x and y (only
    x if p = 1).

    PyTorch's `lp_pool2d` sums x^p with its sign, which gives NaN if an odd p makes the sum
    negative, and it scales up the sum of a window that extends past the end. Here |x|^p is
    summed, and nothing is scaled up. An infinite x gives y = ∞, and NaN as its own gradient.
    |x|^p must be representable in the dtype of x (for 16-bit floats in float32).

    Example:
        >>> import jax.numpy as jnp
        >>> lp_pool(jnp.array([[[3.0], [-4.0], [0.0], [0.0]]]), 2, 2)[0, :, 0].tolist()
        [5.0, 0.0]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions.
        window: K, an int or one per spatial dimension.
        p: the power, a number > 0.
        stride: s, an int or one per spatial dimension; None means `window`.
        padding: as in `jaxconv.conv`.
        ceil_mode: round the output size up: a last window may extend past the end if it starts
            inside x or its low padding.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, *spatial_out, C) in the layout and dtype of x; 16-bit floats are summed in float32.

    Raises:
        TypeError: x is not a floating-point array, or p is not a number.
        ValueError: p is not finite or not > 0, an option is unknown, or no window fits.

    The derivation: docs/derivations/pooling.md.
    """
    x = as_array("lp_pool", "x", x)
    check_floating("lp_pool", x=x)
    g = make_windows(
        "lp_pool", x, window, stride=stride, padding=padding, dilation=1,
        ceil_mode=ceil_mode, layout=layout,
    )  # fmt: skip
    p = as_float("lp_pool", "p", p)
    if p <= 0:
        raise ValueError(f"lp_pool: p must be more than 0, but got {p}")
    return _norm(g, p, x)


def _norm_forward(g: Windows, p: float, x: Array) -> tuple[Array, tuple[Array, Array | None]]:
    y = _wide_norm(g, p, x)
    return y.astype(x.dtype), (x, None if p == 1 else y)


def _norm_backward(
    g: Windows, p: float, residuals: tuple[Array, Array | None], dy: Array
) -> tuple[Array]:
    x, y = residuals
    share = dy.astype(accumulator(dy.dtype))
    if y is not None:
        share = share * _power(y, 1 - p)
    dx = _signed_power(x.astype(share.dtype), p - 1) * sum_back(g, share)
    return (dx.astype(dy.dtype),)


_norm = Rule(_norm_forward, _norm_backward, static=2, name="lp_pool")


def _wide_norm(g: Windows, p: float, x: Array) -> Array:
    """Return y in the dtype of the sum."""
    total = window_sum(g, _power(x.astype(accumulator(x.dtype)), p))
    return total if p == 1 else _power(total, 1 / p)


def _power(x: Array, q: float) -> Array:
    """Return |x|^q; at x = 0 it is 0 with slope 0, even where q < 1 makes these infinite."""
    if q == 1:
        return jnp.abs(x)
    if q > 0 and q % 2 == 0:
        return x ** int(q)  # smooth at 0
    return jnp.where(x == 0, 0, jnp.abs(jnp.where(x == 0, 1, x)) ** q)


def _signed_power(x: Array, q: float) -> Array:
    """Return sign(x)·|x|^q, which is 0 at x = 0 even if q < 0."""
    if q > 0 and q % 2 == 1:
        return x ** int(q)
    return jnp.sign(x) * _power(x, q)
