"""Norms of an example's channels, and of a kernel's: groups that no two examples share."""

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
from jaxconv.normalization._normalize import Groups, normalize


def group_norm(
    x: Array,
    scale: Array,
    bias: Array,
    groups: int,
    *,
    eps: float = 1e-5,
    layout: Layout = "channels_last",
) -> Array:
    r"""Mean 0 and variance 1 over space and a share of the channels, for each example.

    Channel c is in group ⌊c · groups / C⌋. With means over space and the channels of a group,
    and r = 1/√(mean (x − mean x)² + ε):

        x̂ = (x − mean x) · r,        y = scale · x̂ + bias

    scale differs within a group, so it is in the means: with dx̂ = scale · dy

        dx = r · (dx̂ − mean dx̂ − x̂ · mean(dx̂ · x̂))
        dscale = Σ dy · x̂,        dbias = Σ dy

    where the sums run over the batch and over space.

    Saved for the backward pass: x − mean (of 16-bit floats x, and each group's mean), scale, and
    each group's r.

    groups = 1 is layer norm over all but the batch (with scale and bias per channel),
    groups = C is instance norm. A group of equal numbers gives y = bias and
    dx = r·(s·dy − mean(s·dy)) with r = 1/√ε and s the scale, both up to rounding; so a group of
    one number gives dx = 0. NaN spoils its group, dscale of its channels, and nothing else.
    An empty batch gives dscale = dbias = 0.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[[1.0, 3.0, 2.0, 6.0]]])
        >>> print(group_norm(x, jnp.ones(4), jnp.zeros(4), groups=2).round(3))
        [[[-1.  1. -1.  1.]]]

    Args:
        x: input, (N, *spatial, C) with 0 to 3 spatial dimensions.
        scale: one number per channel, (C,).
        bias: the same.
        groups: how many; a divisor of C.
        eps: ε, at least 0.
        layout: "channels_first" is (N, C, *spatial).

    Returns:
        y in the layout and dtype of x. 16-bit floats are computed with in float32.

    Raises:
        TypeError: no arrays of floats, mixed dtypes, groups no int, or eps no number.
        ValueError: groups that cannot share the channels evenly, shapes that do not fit, or a
            negative eps.

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
        raise ValueError(f"{op}: x has {channels} channels, which {groups} groups cannot share")
    g = Groups(spatial, (channel,), as_float(op, "eps", eps, 0), channel_groups=groups)
    return normalize(g, *aligned(x, scale, bias))[0]


def instance_norm(
    x: Array,
    scale: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float = 1e-5,
    layout: Layout = "channels_last",
) -> Array:
    r"""Mean 0 and variance 1 over space, for each example and channel.

    With means over space, and r = 1/√(mean (x − mean x)² + ε):

        x̂ = (x − mean x) · r,        y = scale · x̂ + bias
        dx = scale · r · (dy − mean dy − x̂ · mean(dy · x̂))
        dscale = Σ dy · x̂,        dbias = Σ dy

    where the sums run over the batch and over space.

    Saved for the backward pass: x − mean (of 16-bit floats x, and the mean of each image of one
    channel), scale, and r of each.

    A channel of equal numbers gives y = bias and dx = scale·r·(dy − mean dy) with r = 1/√ε, both
    up to rounding; so one of a single number gives dx = 0, where PyTorch raises. NaN spoils its
    channel of its example, and dscale. An empty batch gives dscale = dbias = 0.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[[1.0], [2.0], [3.0]]])
        >>> print(instance_norm(x).round(3))
        [[[-1.225]
          [ 0.   ]
          [ 1.225]]]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions.
        scale: one number per channel, (C,); None is 1.
        bias: the same; None is 0.
        eps: ε, at least 0.
        layout: "channels_first" is (N, C, *spatial).

    Returns:
        y in the layout and dtype of x. 16-bit floats are computed with in float32.

    Raises:
        TypeError: no arrays of floats, mixed dtypes, or eps no number.
        ValueError: shapes that do not fit, or a negative eps.

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


def weight_standardize(w: Array, *, eps: float = 1e-5, layout: Layout = "channels_last") -> Array:
    r"""A kernel with mean 0 and variance 1 over all that one output channel sees.

    With means over the window and the input channels, and r = 1/√(mean (w − mean w)² + ε):

        y  = (w − mean w) · r
        dw = r · (dy − mean dy − y · mean(dy · y))

    so a step along dw leaves the mean of w alone: dw sums to 0 for each output channel.

    Saved for the backward pass: w − mean (of 16-bit floats w, and each output channel's mean),
    and each output channel's r.

    The variance is the biased one (Σ/m) and ε is added to it, as in Big Transfer (BiT) and
    `jax.nn.standardize`; the paper's own code divides by the unbiased deviation plus ε. There
    is no factor of 1/√m and no gain: multiply what comes. A kernel of equal numbers gives
    y = 0. NaN spoils its output channel.

    Example:
        >>> import jax.numpy as jnp
        >>> w = jnp.array([[[1.0], [3.0]]])
        >>> print(weight_standardize(w).round(3))
        [[[-1.]
          [ 1.]]]

    Args:
        w: kernel, (*window, C_in/groups, C_out) with 0 to 3 window dimensions: none is a dense
            layer's (in, out).
        eps: ε, at least 0.
        layout: "channels_first" is (C_out, C_in/groups, *window).

    Returns:
        y in the shape and dtype of w. 16-bit floats are computed with in float32.

    Raises:
        TypeError: w no array of floats, or eps no number.
        ValueError: w of another rank, an unknown layout, or a negative eps.

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
