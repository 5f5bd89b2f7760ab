"""Transposed convolution: the contractions of `conv`, one of them moved to the front."""

from typing import Any

from jax import Array

from jaxconv._core.arguments import IntOrInts, Layout, Padding, PrecisionLike, aligned
from jaxconv._core.conv_call import ConvCall, transposed_call
from jaxconv._core.residuals import Factors, factors_for_each_other, is_kept
from jaxconv._core.rule import Rule
from jaxconv.contraction import correlate, input_gradient, kernel_gradient
from jaxconv.conv._bias import along_channels, over_positions


def conv_transpose(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = "SAME",
    output_padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
    layout: Layout = "channels_last",
    precision: PrecisionLike = None,
) -> Array:
    r"""Transposed convolution: the input gradient of a conv, as a layer of its own.

    It is the map that takes x where that conv's backward pass takes dy. In one dimension:

        y[n, p, k] = Σ_{i,a,c : s·i + d·a − low = p} x[n, i, c] · w[a, k, c] + b[k]

    so every x[i] is stamped onto y as a multiple of the kernel, s apart. Given dy,

        dx[n, i, c] = Σ_{a,k} dy[n, s·i + d·a − low, k] · w[a, k, c]
        dw[a, k, c] = Σ_{n,i} dy[n, s·i + d·a − low, k] · x[n, i, c]
        db[k]       = Σ_{n,p} dy[n, p, k]

    which are that conv's forward pass and its kernel gradient, with x and dy in each other's
    place: the same three contractions, no new mathematics. Saved for the backward pass: x and w.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((1, 4, 4, 8)); w = jnp.ones((3, 3, 2, 8))
        >>> conv_transpose(x, w, stride=2).shape
        (1, 8, 8, 2)

    Args:
        x: input, (N, *spatial, C_in) with 1, 2 or 3 spatial dimensions.
        w: kernel in the layout of that conv, (*window, C_out/groups, C_in).
        b: bias, (C_out,), or None.
        stride: s, the distance between two stamps.
        padding: that conv's padding. Numbers cut y, which has
            s·(n−1) + d·(K−1) + 1 − low − high + output_padding positions, as in PyTorch; "VALID" is
            0, "CAUSAL" (1-D) cuts before only. "SAME" and "SAME_LOWER" give s·n positions.
        output_padding: positions added at the end of y, less than the stride or the dilation.
        dilation: d, distance between neighbouring kernel elements.
        groups: number of groups of channels that do not see each other.
        layout: "channels_first" is x (N, C_in, *spatial), w (C_in, C_out/groups, *window).
        precision: as in `conv`.

    Returns:
        y, (N, *spatial_out, C_out) in the layout and dtype of x. Sums over 16-bit floats are
        kept in float32 and rounded once. N may be 0.

    Raises:
        TypeError: an argument is no array, not floating-point, or of another dtype than x.
        ValueError: shapes that do not fit, an unknown option, or a padding that leaves nothing.

    The derivation: docs/derivations/conv.md, section 8.
    """
    call, x, w, b = transposed_call(
        "conv_transpose",
        x,
        w,
        b,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=groups,
        layout=layout,
        precision=precision,
    )
    return _conv_transpose(call, *aligned(x, w, b))


def _conv_transpose_forward(call: ConvCall, x: Any, w: Any, b: Any) -> tuple[Array, Factors]:
    y = input_gradient(call.spec, w.value, x.value, **call.how())
    if b is not None:
        y = y + along_channels(call, b.value).astype(y.dtype)
    return y.astype(x.value.dtype), factors_for_each_other(x, w, b)


def _conv_transpose_backward(call: ConvCall, residuals: Factors, dy: Array) -> tuple[Any, Any, Any]:
    x, w = residuals.x, residuals.w
    dx = dw = db = None
    if is_kept(w):
        dx = correlate(call.spec, dy, w, **call.how(residuals.x_sharding)).astype(dy.dtype)
    if is_kept(x):
        dw = kernel_gradient(call.spec, dy, x, **call.how(residuals.w_sharding)).astype(dy.dtype)
    if residuals.biased:
        db = over_positions(call, dy)
    return dx, dw, db


_conv_transpose = Rule(
    _conv_transpose_forward, _conv_transpose_backward, static=1, knows_wanted=True
)
