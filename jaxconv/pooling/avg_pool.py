"""Mean pooling: every value of a window gets the same share of its cotangent."""

import operator

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv._core.arguments import (
    DType,
    IntOrInts,
    Layout,
    Padding,
    accumulator,
    as_array,
    as_bool,
    as_float,
    check_floating,
)
from jaxconv._core.geometry import Windows, make_windows
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv._core.windows import first_and_count, sum_back, window_sum
from jaxconv.pooling._extremes import outer


def avg_pool(
    x: Shaped[Array, "N *spatial C"],
    window: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: float | None = None,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial_out C"]:
    r"""The mean of each window.

        y[n, i, c]  = 1/count[i] · Σ_a x̃[n, s·i + a − low, c],        x̃ = 0 outside x

        dx[n, p, c] = Σ_{i,a : s·i + a − low = p} dy[n, i, c] / count[i]

    where count[i] is the number of positions in window i. Every value of a window gets the same
    share of dy (¼ each for 2 × 2). Nothing is saved for the backward pass, because count follows
    from the shapes.

    Example:
        >>> import jax.numpy as jnp
        >>> avg_pool(jnp.array([[[1.0], [3.0], [2.0], [0.0]]]), 2)[0, :, 0].tolist()
        [2.0, 1.0]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions.
        window: K, an int or one per spatial dimension.
        stride: s, an int or one per spatial dimension; None means `window`.
        padding: as in `jaxconv.conv`.
        ceil_mode: round the output size up: a last window may extend past the end if it starts
            inside x or its low padding. What lies past the end is never counted, as in PyTorch.
        count_include_pad: whether the zeros of the padding are counted as values. A window
            without any counted position gives y = 0, and its cotangent is dropped.
        divisor: a number to divide by instead of count.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, *spatial_out, C) in the layout and dtype of x; 16-bit floats are summed in float32.

    Raises:
        TypeError: x is not a floating-point array, or divisor is not a number.
        ValueError: divisor is 0, not finite, or too small or too large to divide by in the
            dtype of the sum; an option is unknown; or no window fits.

    The derivation: docs/derivations/pooling.md.
    """
    x = as_array("avg_pool", "x", x)
    check_floating("avg_pool", x=x)
    g = make_windows(
        "avg_pool", x, window, stride=stride, padding=padding, dilation=1,
        ceil_mode=ceil_mode, layout=layout,
    )  # fmt: skip
    count_include_pad = as_bool("avg_pool", "count_include_pad", count_include_pad)
    if divisor is not None:
        divisor = as_float("avg_pool", "divisor", divisor)
    if divisor == 0:
        raise ValueError("avg_pool: divisor must not be 0")
    smallest = float(jnp.finfo(accumulator(x.dtype)).tiny)
    if divisor is not None and not smallest <= abs(divisor) <= 1 / smallest:
        raise ValueError(
            f"avg_pool: divisor must be from {smallest:.3g} to {1 / smallest:.3g} in size to"
            f" divide {accumulator(x.dtype)}, but got {divisor!r}"
        )
    return mean_rule(g, count_include_pad, divisor, x)


def _mean_forward(
    g: Windows, count_include_pad: bool, divisor: float | None, x: Array
) -> tuple[Array, None]:
    wide = x.astype(accumulator(x.dtype))
    total = window_sum(g, wide)
    mean = total / _divisor(g, count_include_pad, divisor, total.dtype)
    return mean.astype(x.dtype), None


def _mean_backward(
    g: Windows, count_include_pad: bool, divisor: float | None, residuals: None, dy: Array
) -> tuple[Array]:
    wide = dy.astype(accumulator(dy.dtype))
    share = wide / _divisor(g, count_include_pad, divisor, wide.dtype)
    return (sum_back(g, share).astype(dy.dtype),)


mean_rule = Rule(_mean_forward, _mean_backward, static=3, name="avg_pool")


def _divisor(
    g: Windows, include_pad: bool, divisor: float | None, dtype: DType
) -> np.ndarray | Array:
    """Return the divisor of each window's sum, shaped to broadcast against y."""
    if divisor is not None:
        return np.asarray(divisor, dtype)
    return window_counts(g, include_pad, dtype)


def window_counts(g: Windows, include_pad: bool, dtype: DType) -> np.ndarray | Array:
    """Return the number of positions of each window, padding counted or not; at least 1.

    The sum of a window without counted positions is 0 anyway, and a count of 1 avoids 0/0.
    """
    border = g.padding if include_pad else ((0, 0),) * g.dims
    counts = [count.clip(1) for _, count in first_and_count(g, border)]
    return outer(g, counts, operator.mul).astype(dtype)
