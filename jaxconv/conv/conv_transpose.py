"""Transposed convolution: its forward pass is the input gradient of a `conv`."""

from jax import Array

from jaxconv._core.arguments import IntOrInts, Layout, Padding, PrecisionLike, aligned
from jaxconv._core.conv_call import ConvCall, transposed_call
from jaxconv._core.residuals import Factors, Gradients, factors_for_each_other, is_kept
from jaxconv._core.rule import Primal, Rule
from jaxconv._core.shapes import Shaped
from jaxconv.contraction import correlate, input_gradient, kernel_gradient
from jaxconv.conv._bias import along_channels, over_positions


def conv_transpose(
    x: Shaped[Array, "N *spatial C_in"],
    w: Shaped[Array, "*window C_group C_in"],
    b: Shaped[Array, "C_out"] | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = "SAME",
    output_padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
    layout: Layout = "channels_last",
    precision: PrecisionLike = None,
) -> Shaped[Array, "N *spatial_out C_out"]:
    r"""Transposed convolution: the input gradient of a `conv`, used as a layer.

    Let C be the `conv` with this w, stride, dilation and padding. Then y is the dx of C for the
    cotangent x. In one dimension:

        y[n, p, k] = Σ_{i,a,c : s·i + d·a − low = p} x[n, i, c] · w[a, k, c] + b[k]

    so each x[i] adds a multiple of the kernel to y, starting at position s·i − low. Given dy,

        dx[n, i, c] = Σ_{a,k} dy[n, s·i + d·a − low, k] · w[a, k, c]
        dw[a, k, c] = Σ_{n,i} dy[n, s·i + d·a − low, k] · x[n, i, c]
        db[k]       = Σ_{n,p} dy[n, p, k]

    These are the forward pass and the kernel gradient of that `conv` with x and dy exchanged, so
    the three contractions of `conv` are enough. Saved for the backward pass: x and w.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((1, 4, 4, 8)); w = jnp.ones((3, 3, 2, 8))
        >>> conv_transpose(x, w, stride=2).shape
        (1, 8, 8, 2)

    Args:
        x: input, (N, *spatial, C_in) with 1, 2 or 3 spatial dimensions.
        w: kernel in the layout of that `conv`, (*window, C_out/groups, C_in).
        b: bias, (C_out,), or None.
        stride: s, the distance in y between the kernels of neighbouring positions of x.
        padding: the padding of that `conv`. Numbers crop y, which then has
            s·(n−1) + d·(K−1) + 1 − low − high + output_padding positions, as in PyTorch. "VALID"
            crops nothing, "CAUSAL" (1-D) only before. "SAME" and "SAME_LOWER" give s·n positions.
        output_padding: number of positions added at the end of y. It must be smaller than the
            stride or the dilation.
        dilation: d, the distance between neighbouring kernel elements.
        groups: number of channel groups that are convolved separately.
        layout: "channels_first" means x (N, C_in, *spatial), w (C_in, C_out/groups, *window).
        precision: precision of the products, as in `conv`.

    Returns:
        y, (N, *spatial_out, C_out) in the layout and dtype of x. Sums of 16-bit floats are
        accumulated in float32 and rounded once. N may be 0.

    Raises:
        TypeError: an argument is not a floating-point array, or its dtype is not that of x.
        ValueError: the shapes do not fit together, an option is unknown, or the padding crops all
            of y.

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


def _conv_transpose_forward(
    call: ConvCall, x: Primal, w: Primal, b: Primal | None
) -> tuple[Array, Factors]:
    y = input_gradient(call.spec, w.value, x.value, **call.how())
    if b is not None:
        y = y + along_channels(call, b.value).astype(y.dtype)
    return y.astype(x.value.dtype), factors_for_each_other(x, w, b)


def _conv_transpose_backward(call: ConvCall, residuals: Factors, dy: Array) -> Gradients:
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
