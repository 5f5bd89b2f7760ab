"""Convolution: one trilinear form, of which forward and backward are three views."""

from typing import Any

from jax import Array

from jaxconv._core.arguments import (
    IntOrInts,
    Layout,
    Padding,
    PaddingMode,
    PrecisionLike,
    aligned,
)
from jaxconv._core.conv_call import ConvCall, conv_call
from jaxconv._core.residuals import Factors, factors_for_each_other, is_kept
from jaxconv._core.rule import Rule
from jaxconv.contraction import correlate, input_gradient, kernel_gradient, rot180
from jaxconv.conv._bias import along_channels, over_positions
from jaxconv.padding import extend, retract


def conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = "SAME",
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    flip_kernel: bool = False,
    layout: Layout = "channels_last",
    precision: PrecisionLike = None,
) -> Array:
    r"""Cross-correlation of x with w, the convolution of neural networks.

    In one spatial dimension (in 2 and 3, read i, a, p, s, d, low as tuples):

        y[n, i, k] = Σ_{a,c} x[n, s·i + d·a − low, c] · w[a, c, k] + b[k]

    where x is 0 outside its borders. Given the cotangent dy, the backward pass is

        dx[n, p, c] = Σ_{i,a,k : s·i + d·a − low = p} dy[n, i, k] · w[a, c, k]
        dw[a, c, k] = Σ_{n,i} x[n, s·i + d·a − low, c] · dy[n, i, k]
        db[k]       = Σ_{n,i} dy[n, i, k]

    For stride 1, dx is dy, padded, correlated with rot180(w), and dw is x correlated with
    dy. With `padding_mode`, y is computed from the extended input and dx is gathered back
    from it (`jaxconv.padding`); with `flip_kernel`, w is replaced by rot180(w), so dw is
    turned back by 180° as well. Saved for the backward pass: x and w, nothing computed.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((1, 5, 5, 3)); w = jnp.ones((3, 3, 3, 2))
        >>> conv(x, w, padding="VALID").shape
        (1, 3, 3, 2)

    Args:
        x: input, (N, *spatial, C_in) with 1, 2 or 3 spatial dimensions.
        w: kernel, (*window, C_in/groups, C_out).
        b: bias, (C_out,), or None.
        stride: s, an int or one per spatial dimension.
        padding: "SAME" (n_out = ⌈n/s⌉, the odd position goes after), "SAME_LOWER" (before),
            "VALID", "CAUSAL" (1-D: only before), in any case; an int, one int per dimension,
            or one (low, high) pair per dimension.
        dilation: d, distance between neighbouring kernel elements.
        groups: number of groups of channels that do not see each other; C_in is depthwise.
        padding_mode: "zeros", "reflect" (border not repeated), "replicate" or "circular".
            The padding may be wider than the input: the pattern goes on, as in `jnp.pad`.
        flip_kernel: True for the convolution of mathematics, with rot180(w).
        layout: "channels_first" is x (N, C_in, *spatial), w (C_out, C_in/groups, *window).
        precision: of the products, as in `jax.lax.conv_general_dilated`; used by the
            backward pass too.

    Returns:
        y, (N, *spatial_out, C_out) in the layout of x, in the dtype of x. Sums over 16-bit
        floats are kept in float32 and rounded once. N may be 0.

    Raises:
        TypeError: an argument is no array, not floating-point, or of another dtype than x.
        ValueError: shapes that do not fit, an unknown option, or a window that fits nowhere.

    The derivation, step by step: docs/derivations/conv.md. It follows Dumoulin & Visin,
    "A guide to convolution arithmetic for deep learning" (arXiv:1603.07285).
    """
    call, x, w, b = conv_call(
        "conv",
        x,
        w,
        b,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
        flip_kernel=flip_kernel,
        layout=layout,
        precision=precision,
    )
    return conv_rule(call, *aligned(x, w, b))


def _conv_forward(call: ConvCall, x: Any, w: Any, b: Any) -> tuple[Array, Factors]:
    kernel = rot180(w.value, call.layout) if call.flip_kernel else w.value
    y = correlate(call.bordered, _with_border(call, x.value), kernel, **call.how())
    if b is not None:
        y = y + along_channels(call, b.value).astype(y.dtype)
    return y.astype(call.dtype or x.value.dtype), factors_for_each_other(x, w, b)


def _conv_backward(call: ConvCall, residuals: Factors, dy: Array) -> tuple[Any, Any, Any]:
    x, w = residuals.x, residuals.w
    dx = dw = db = None
    if is_kept(w):
        kernel = rot180(w, call.layout) if call.flip_kernel else w
        dx = input_gradient(
            call.bordered, kernel.astype(dy.dtype), dy, **call.how(residuals.x_sharding)
        )
        if call.padding_mode != "zeros":
            dx = retract(dx, call.spec.padding, call.spatial_axes, call.padding_mode)
        dx = dx.astype(w.dtype)
    if is_kept(x):
        bordered = _with_border(call, x).astype(dy.dtype)
        dw = kernel_gradient(call.bordered, bordered, dy, **call.how(residuals.w_sharding))
        dw = dw.astype(x.dtype)
        if call.flip_kernel:
            dw = rot180(dw, call.layout)
    if residuals.biased:
        db = over_positions(call, dy)
    return dx, dw, db


conv_rule = Rule(_conv_forward, _conv_backward, static=1, knows_wanted=True)


def _with_border(call: ConvCall, x: Array) -> Array:
    """x with its border filled in, unless the border is zeros: those are never stored."""
    if call.padding_mode == "zeros":
        return x
    return extend(x, call.spec.padding, call.spatial_axes, call.padding_mode)
