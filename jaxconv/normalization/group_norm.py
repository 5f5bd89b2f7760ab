"""Group norm, instance norm and weight standardization: no statistics across examples."""

from jax import Array

from jaxconv._core.arguments import (
    Layout,
    aligned,
    as_array,
    as_float,
    as_int,
    check_floating,
    check_option,
    check_shape,
)
from jaxconv._core.geometry import image_axes
from jaxconv._core.shapes import Shaped
from jaxconv.normalization._normalize import Groups, normalize


def group_norm(
    x: Shaped[Array, "N *spatial C"],
    scale: Shaped[Array, "C"],
    bias: Shaped[Array, "C"],
    groups: int,
    *,
    eps: float = 1e-5,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial C"]:
    r"""Normalize each example to mean 0 and variance 1 over space and groups of channels.

    Channel c is in group ⌊c · groups / C⌋. With means over space and the channels of a group,
    and r = 1/√(mean (x − mean x)² + ε):

        x̂ = (x − mean x) · r,        y = scale · x̂ + bias

    scale varies within a group, so it stays inside the means. With dx̂ = scale · dy:

        dx = r · (dx̂ − mean dx̂ − x̂ · mean(dx̂ · x̂))
        dscale = Σ dy · x̂,        dbias = Σ dy

    where the sums run over the batch and over space.

    Saved for the backward pass: x − mean (for 16-bit floats x and each group's mean instead),
    scale, and each group's r.

    groups = 1 is layer norm over all axes but the batch (with scale and bias per channel), and
    groups = C is instance norm.

    In a group of equal numbers x̂ is 0, so y = bias. dx is not 0: it is r·(dx̂ − mean dx̂), with
    the large factor r = 1/√ε (both up to rounding). It is 0 for every dy only in a group of a
    single number. A NaN makes its group and dscale of the group's channels NaN, and nothing
    else. If the batch is empty, dscale and dbias are 0.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[[1.0, 3.0, 2.0, 6.0]]])
        >>> print(group_norm(x, jnp.ones(4), jnp.zeros(4), groups=2).round(3))
        [[[-1.  1. -1.  1.]]]

    Args:
        x: input, (N, *spatial, C) with 0 to 3 spatial dimensions.
        scale: one number per channel, (C,).
        bias: one number per channel, (C,).
        groups: the number of groups, a divisor of C.
        eps: ε, at least 0.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y in the layout and dtype of x. 16-bit floats are computed in float32.

    Raises:
        TypeError: x, scale and bias are not floating-point arrays of one dtype, groups is not an
            int, or eps is not a number.
        ValueError: groups does not divide the number of channels, the shapes do not fit, or eps
            is negative.

    The derivation: docs/derivations/normalization.md.
    """
    op = "group_norm"
    x, scale = as_array(op, "x", x), as_array(op, "scale", scale)
    bias = as_array(op, "bias", bias)
    check_floating(op, x=x, scale=scale, bias=bias)
    spatial, channel = image_axes(op, x, layout, fewest=0)
    channels = x.shape[channel]
    check_shape(op, "scale", scale, (channels,))
    check_shape(op, "bias", bias, (channels,))
    groups = as_int(op, "groups", groups, 1)
    if channels % groups:
        raise ValueError(
            f"{op}: x has {channels} channels, which is not a multiple of groups={groups}"
        )
    g = Groups(spatial, (channel,), as_float(op, "eps", eps, 0), channel_groups=groups)
    return normalize(g, *aligned(x, scale, bias))[0]


def instance_norm(
    x: Shaped[Array, "N *spatial C"],
    scale: Shaped[Array, "C"] | None = None,
    bias: Shaped[Array, "C"] | None = None,
    *,
    eps: float = 1e-5,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial C"]:
    r"""Normalize each channel of each example to mean 0 and variance 1 over space.

    With means over space, and r = 1/√(mean (x − mean x)² + ε):

        x̂ = (x − mean x) · r,        y = scale · x̂ + bias
        dx = scale · r · (dy − mean dy − x̂ · mean(dy · x̂))
        dscale = Σ dy · x̂,        dbias = Σ dy

    where the sums run over the batch and over space.

    Saved for the backward pass: x − mean (for 16-bit floats x and the means instead), scale, and
    r, with one mean and one r for each channel of each example.

    In a channel of equal numbers x̂ is 0, so y = bias. dx is not 0: it is scale·r·(dy − mean dy),
    with the large factor r = 1/√ε (both up to rounding). It is 0 for every dy only in a channel
    of a single number, where PyTorch raises an error. A NaN makes its channel of its example
    NaN, and dscale of the channel. If the batch is empty, dscale and dbias are 0.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[[1.0], [2.0], [3.0]]])
        >>> print(instance_norm(x).round(3))
        [[[-1.225]
          [ 0.   ]
          [ 1.225]]]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions.
        scale: one number per channel, (C,); None means 1.
        bias: one number per channel, (C,); None means 0.
        eps: ε, at least 0.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y in the layout and dtype of x. 16-bit floats are computed in float32.

    Raises:
        TypeError: x, scale and bias are not floating-point arrays of one dtype, or eps is not a
            number.
        ValueError: the shapes do not fit, or eps is negative.

    The derivation: docs/derivations/normalization.md.
    """
    op = "instance_norm"
    x = as_array(op, "x", x)
    scale = None if scale is None else as_array(op, "scale", scale)
    bias = None if bias is None else as_array(op, "bias", bias)
    check_floating(op, x=x, scale=scale, bias=bias)
    spatial, channel = image_axes(op, x, layout)
    check_shape(op, "scale", scale, (x.shape[channel],))
    check_shape(op, "bias", bias, (x.shape[channel],))
    g = Groups(spatial, (channel,), as_float(op, "eps", eps, 0))
    return normalize(g, *aligned(x, scale, bias))[0]


def weight_standardize(
    w: Shaped[Array, "*window C_group C_out"],
    *,
    eps: float = 1e-5,
    layout: Layout = "channels_last",
) -> Shaped[Array, "*window C_group C_out"]:
    r"""Normalize a kernel to mean 0 and variance 1 over the weights of each output channel.

    With means over the window and the input channels, and r = 1/√(mean (w − mean w)² + ε):

        y  = (w − mean w) · r
        dw = r · (dy − mean dy − y · mean(dy · y))

    so dw sums to 0 for each output channel: a step along dw does not change the mean of w.

    Saved for the backward pass: w − mean (for 16-bit floats w and each output channel's mean
    instead), and each output channel's r.

    The variance is the biased one (Σ/m) and ε is added to it, as in Big Transfer (BiT) and
    `jax.nn.standardize`; the code of the weight standardization paper divides by the unbiased
    deviation plus ε. y includes no factor of 1/√m and no gain; multiply y by them if needed. An
    output channel of equal weights gives y = 0, but dw = r·(dy − mean dy) with the large factor
    r = 1/√ε (both up to rounding). A NaN makes its output channel NaN.

    Example:
        >>> import jax.numpy as jnp
        >>> w = jnp.array([[[1.0], [3.0]]])
        >>> print(weight_standardize(w).round(3))
        [[[-1.]
          [ 1.]]]

    Args:
        w: kernel, (*window, C_in/groups, C_out) with 0 to 3 window dimensions; without any it is
            the (in, out) of a dense layer.
        eps: ε, at least 0.
        layout: "channels_first" means (C_out, C_in/groups, *window).

    Returns:
        y in the shape and dtype of w. 16-bit floats are computed in float32.

    Raises:
        TypeError: w is not a floating-point array, or eps is not a number.
        ValueError: w has another rank, the layout is unknown, or eps is negative.

    The derivation: docs/derivations/normalization.md.
    """
    op = "weight_standardize"
    w = as_array(op, "w", w)
    check_floating(op, w=w)
    check_option(op, "layout", layout, Layout)
    last = layout == "channels_last"
    if not 2 <= w.ndim <= 5:
        form = "(*window, C_in/groups, C_out)" if last else "(C_out, C_in/groups, *window)"
        raise ValueError(
            f"{op}: w must be {form} with 0 to 3 window dimensions, but its shape is {w.shape}"
        )
    axes = tuple(range(w.ndim - 1)) if last else tuple(range(1, w.ndim))
    return normalize(Groups(axes, (), as_float(op, "eps", eps, 0)), w, None, None)[0]
