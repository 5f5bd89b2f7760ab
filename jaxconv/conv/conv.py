"""Convolution: y, dx and dw are three contractions of one trilinear form."""

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
from jaxconv._core.residuals import Factors, Gradients, factors_for_each_other, is_kept
from jaxconv._core.rule import Primal, Rule
from jaxconv._core.shapes import Shaped
from jaxconv.contraction import correlate, input_gradient, kernel_gradient, rot180
from jaxconv.conv._bias import along_channels, over_positions
from jaxconv.padding import extend, retract


def conv(
    x: Shaped[Array, "N *spatial C_in"],
    w: Shaped[Array, "*window C_group C_out"],
    b: Shaped[Array, "C_out"] | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = "SAME",
    dilation: IntOrInts = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    flip_kernel: bool = False,
    layout: Layout = "channels_last",
    precision: PrecisionLike = None,
) -> Shaped[Array, "N *spatial_out C_out"]:
    r"""Cross-correlate x with w, which neural networks call convolution.

    In one spatial dimension (in 2 and 3, i, a, p, s, d and low are tuples):

        y[n, i, k] = Σ_{a,c} x[n, s·i + d·a − low, c] · w[a, c, k] + b[k]

    where x is 0 outside its borders. Given the cotangent dy, the backward pass is

        dx[n, p, c] = Σ_{i,a,k : s·i + d·a − low = p} dy[n, i, k] · w[a, c, k]
        dw[a, c, k] = Σ_{n,i} x[n, s·i + d·a − low, c] · dy[n, i, k]
        db[k]       = Σ_{n,i} dy[n, i, k]

    For stride 1, dx is the padded dy correlated with rot180(w), and dw is x correlated with dy.
    If `padding_mode` copies, y is computed from x with its border, and the gradient of the border
    is added to the positions that were copied (`jaxconv.padding`). With `flip_kernel`, w is
    replaced by rot180(w), so dw is rotated by 180° as well. Saved for the backward pass: x and w.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((1, 5, 5, 3)); w = jnp.ones((3, 3, 3, 2))
        >>> conv(x, w, padding="VALID").shape
        (1, 3, 3, 2)

    Args:
        x: input, (N, *spatial, C_in) with 1, 2 or 3 spatial dimensions. The batch axis is required:
            an image (H, W, C) with a kernel of three axes is taken for a batch of H lines.
        w: kernel, (*window, C_in/groups, C_out).
        b: bias, (C_out,), or None.
        stride: s, an int or one per spatial dimension.
        padding: "SAME" (n_out = ⌈n/s⌉; if the total is odd, one more goes after), "SAME_LOWER"
            (one more goes before), "VALID" or "CAUSAL" (1-D, only before), in upper or lower
            case; an int, one int per dimension, or one (low, high) pair per dimension.
        dilation: d, the distance between neighbouring kernel elements.
        groups: number of channel groups that are convolved separately; C_in means depthwise.
        padding_mode: "zeros", "reflect" (without repeating the edge), "replicate" or
            "circular". A padding wider than x continues the pattern, as in `jnp.pad`.
        flip_kernel: True for the convolution of mathematics, with rot180(w).
        layout: "channels_first" means x (N, C_in, *spatial), w (C_out, C_in/groups, *window).
        precision: precision of the products, as in `jax.lax.conv_general_dilated`, in the
            forward and the backward pass.

    Returns:
        y, (N, *spatial_out, C_out) in the layout and dtype of x. Sums of 16-bit floats are
        accumulated in float32 and rounded once. N may be 0.

    Raises:
        TypeError: an argument is not a floating-point array, or its dtype is not that of x.
        ValueError: the shapes do not fit together, an option is unknown, or no window fits.

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


def _conv_forward(call: ConvCall, x: Primal, w: Primal, b: Primal | None) -> tuple[Array, Factors]:
    kernel = rot180(w.value, call.layout) if call.flip_kernel else w.value
    y = correlate(call.bordered, _with_border(call, x.value), kernel, **call.how())
    if b is not None:
        y = y + along_channels(call, b.value).astype(y.dtype)
    return y.astype(call.dtype or x.value.dtype), factors_for_each_other(x, w, b)


def _conv_backward(call: ConvCall, residuals: Factors, dy: Array) -> Gradients:
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
    """Return x with a copied border; a border of zeros is never stored, so then return x."""
    if call.padding_mode == "zeros":
        return x
    return extend(x, call.spec.padding, call.spatial_axes, call.padding_mode)
