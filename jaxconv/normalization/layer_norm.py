"""Layer norm and RMS norm: normalize x by its own statistics along chosen axes."""

from collections.abc import Sequence

from jax import Array

from jaxconv._core.arguments import (
    aligned,
    as_array,
    as_axes,
    as_float,
    check_floating,
    check_shape,
)
from jaxconv._core.shapes import Shaped
from jaxconv.normalization._normalize import Groups, normalize


def layer_norm(
    x: Shaped[Array, "*shape"],
    scale: Shaped[Array, "*normalized"] | None = None,
    bias: Shaped[Array, "*normalized"] | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
) -> Shaped[Array, "*shape"]:
    r"""Normalize x to mean 0 and variance 1 along some axes, for each index of the others.

    With means over `axis`, and r = 1/√(mean (x − mean x)² + ε):

        x̂ = (x − mean x) · r,        y = scale · x̂ + bias

    scale varies within a group, so it stays inside the means. With dx̂ = scale · dy:

        dx = r · (dx̂ − mean dx̂ − x̂ · mean(dx̂ · x̂))
        dscale = Σ dy · x̂,        dbias = Σ dy

    where the sums run over all axes that scale and bias do not have. A group is the numbers that
    share a mean.

    Saved for the backward pass: x, scale, and each group's mean and r. (If `axis` is not the last
    axes and x has 32 bits or more, it is x − mean instead of x and the means.)

    In a group of equal numbers x̂ is 0, so y = bias. dx is not 0: it is r·(dx̂ − mean dx̂), with
    the large factor r = 1/√ε (both up to rounding). It is 0 for every dy only in a group of a
    single number. A NaN makes its group NaN, and dscale. If there are no groups, dscale and
    dbias are 0.

    Example:
        >>> import jax.numpy as jnp
        >>> layer_norm(jnp.array([[1.0, 3.0], [0.0, 20.0]]), eps=0).tolist()
        [[-1.0, 1.0], [-1.0, 1.0]]

    Args:
        x: input, any shape except ().
        scale: in the shape of x along `axis`; None means 1.
        bias: in the shape of x along `axis`; None means 0.
        axis: an int, or several; scale and bias have these axes in the order of x, whatever
            their order here. PyTorch's `normalized_shape` means the last axes of x.
        eps: ε, at least 0.

    Returns:
        y in the shape and dtype of x. 16-bit floats are computed in float32.

    Raises:
        TypeError: the arrays are not floating-point arrays of one dtype, or axis or eps has a
            wrong type.
        ValueError: x does not have these axes, the shapes do not fit, or eps is negative.

    The derivation: docs/derivations/normalization.md.
    """
    return _along("layer_norm", x, scale, bias, axis, eps, centred=True)


def rms_norm(
    x: Shaped[Array, "*shape"],
    scale: Shaped[Array, "*normalized"] | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-6,
) -> Shaped[Array, "*shape"]:
    r"""Normalize x to mean square 1 along some axes, for each index of the others.

        r = 1/√(mean x² + ε),        x̂ = x · r,        y = scale · x̂

    This is layer norm without the mean, and so is its gradient. With dx̂ = scale · dy:

        dx = r · (dx̂ − x̂ · mean(dx̂ · x̂))
        dscale = Σ dy · x̂

    Saved for the backward pass: x, scale, and r for each group.

    The numbers that share an r are a group. A group of zeros gives y = 0 and dx = dx̂/√ε. A NaN
    makes its group NaN, and dscale.

    Example:
        >>> import jax.numpy as jnp
        >>> rms_norm(jnp.array([3.0, -3.0]), eps=0).tolist()
        [1.0, -1.0]

    Args:
        x: input, any shape except ().
        scale: in the shape of x along `axis`; None means 1.
        axis: an int, or several; scale has these axes in the order of x.
        eps: ε, at least 0. PyTorch's default is the machine epsilon of x.

    Returns:
        y in the shape and dtype of x. 16-bit floats are computed in float32.

    Raises:
        TypeError: the arrays are not floating-point arrays of one dtype, or axis or eps has a
            wrong type.
        ValueError: x does not have these axes, the shapes do not fit, or eps is negative.

    The derivation: docs/derivations/normalization.md.
    """
    return _along("rms_norm", x, scale, None, axis, eps, centred=False)


def _along(
    op: str,
    x: Array,
    scale: Array | None,
    bias: Array | None,
    axis: int | Sequence[int],
    eps: float,
    centred: bool,
) -> Array:
    x = as_array(op, "x", x)
    scale = None if scale is None else as_array(op, "scale", scale)
    bias = None if bias is None else as_array(op, "bias", bias)
    check_floating(op, x=x, scale=scale, bias=bias)
    axes = as_axes(op, "axis", axis, x)
    shape = tuple(x.shape[a] for a in axes)
    check_shape(op, "scale", scale, shape)
    check_shape(op, "bias", bias, shape)
    g = Groups(axes, axes, as_float(op, "eps", eps, 0), centred=centred)
    return normalize(g, *aligned(x, scale, bias))[0]
