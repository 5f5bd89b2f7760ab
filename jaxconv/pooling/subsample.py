"""Subsampling: sum pooling with a trainable weight and bias per channel."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import (
    IntOrInts,
    Layout,
    accumulator,
    aligned,
    as_array,
    check_floating,
    per_channel,
)
from jaxconv._core.geometry import Windows, make_windows
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv._core.windows import sum_back, window_sum


def subsample(
    x: Shaped[Array, "N *spatial C"],
    weight: Shaped[Array, "C"],
    bias: Shaped[Array, "C"],
    window: IntOrInts,
    *,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial_out C"]:
    r"""The trainable pooling of LeNet: a weight times each window's sum, plus a bias.

        y[n, i, c]   = weight[c] · t[n, i, c] + bias[c],        t[n, i, c] = Σ_a x[n, K·i + a, c]

        dx[n, p, c]  = weight[c] · dy[n, ⌊p/K⌋, c]
        dweight[c]   = Σ_{n,i} t[n, i, c] · dy[n, i, c]
        dbias[c]     = Σ_{n,i} dy[n, i, c]

    Windows lie side by side; positions left over at the end are in no window and get dx = 0.
    With weight 1/K (1/K² in two dimensions) and bias 0 it is `jaxconv.avg_pool`. y is bilinear
    in x and the weight, so it has no kinks. Saved for the backward pass: the sums t and the
    weight, but not x.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[[1.0], [3.0], [2.0], [0.0]]])
        >>> subsample(x, jnp.array([0.5]), jnp.array([10.0]), 2)[0, :, 0].tolist()
        [12.0, 11.0]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions.
        weight: one number per channel, (C,).
        bias: one number per channel, (C,).
        window: K, which is also the stride; an int or one per spatial dimension.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, *spatial_out, C) in the layout and dtype of x; 16-bit floats are summed in float32.

    Raises:
        TypeError: x, weight and bias are not floating-point arrays of one dtype.
        ValueError: weight or bias is not (C,), the layout is unknown, or no window fits.

    The derivation: docs/derivations/pooling.md.
    """
    x = as_array("subsample", "x", x)
    weight, bias = as_array("subsample", "weight", weight), as_array("subsample", "bias", bias)
    check_floating("subsample", x=x, weight=weight, bias=bias)
    g = make_windows(
        "subsample", x, window, stride=None, padding="VALID", dilation=1,
        ceil_mode=False, layout=layout,
    )  # fmt: skip
    channels = x.shape[g.channel_axis]
    for name, array in (("weight", weight), ("bias", bias)):
        if array.shape != (channels,):
            raise ValueError(
                f"subsample: {name} must have shape ({channels},), one number per channel of x,"
                f" but its shape is {array.shape}"
            )
    return _subsample(g, *aligned(x, weight, bias))


def _subsample_forward(
    g: Windows, x: Array, weight: Array, bias: Array
) -> tuple[Array, tuple[Array, Array]]:
    total = window_sum(g, x.astype(accumulator(x.dtype)))
    y = per_channel(weight, x, g.channel_axis) * total + per_channel(bias, x, g.channel_axis)
    return y.astype(x.dtype), (total, weight)


def _subsample_backward(
    g: Windows, residuals: tuple[Array, Array], dy: Array
) -> tuple[Array, Array, Array]:
    total, weight = residuals
    wide = dy.astype(total.dtype)
    dx = sum_back(g, per_channel(weight, dy, g.channel_axis) * wide)
    others = tuple(axis for axis in range(dy.ndim) if axis != g.channel_axis)
    d_weight, d_bias = jnp.sum(total * wide, others), jnp.sum(wide, others)
    return dx.astype(dy.dtype), d_weight.astype(dy.dtype), d_bias.astype(dy.dtype)


_subsample = Rule(_subsample_forward, _subsample_backward, static=1)
