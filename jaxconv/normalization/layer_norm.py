"""Layer norm and RMS norm: each example by its own statistics, along chosen axes."""

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
from jaxconv.normalization._normalize import Groups, normalize


def layer_norm(
    x: Array,
    scale: Array | None = None,
    bias: Array | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
) -> Array:
    r"""Mean 0 and variance 1 along some axes, for each index of the others.

    With means over `axis`, m numbers each, and r = 1/√(mean (x − mean x)² + ε):

        x̂ = (x − mean x) · r,        y = scale · x̂ + bias

    scale differs within a group, so it is in the means: with dx̂ = scale · dy

        dx = r · (dx̂ − mean dx̂ − x̂ · mean(dx̂ · x̂))
        dscale = Σ dy · x̂,        dbias = Σ dy

    where the sums run over all axes that scale and bias do not have.

    Saved for the backward pass: x, scale, and for each group its mean and r.

    A group of equal numbers gives y = bias and dx = r·(s·dy − mean(s·dy)) with r = 1/√ε and s the
    scale, both up to rounding; so a group of one number gives dx = 0. NaN spoils its group and
    dscale. Where nothing is summed, dscale and dbias are 0.

    Example:
        >>> import jax.numpy as jnp
        >>> layer_norm(jnp.array([[1.0, 3.0], [0.0, 20.0]]), eps=0).tolist()
        [[-1.0, 1.0], [-1.0, 1.0]]

    Args:
        x: input, any shape but ().
        scale: in the shape of x along `axis`; None is 1.
        bias: the same; None is 0.
        axis: an int, or several; scale and bias have these axes in the order of x, whatever
            the order given. The last k of x are PyTorch's `normalized_shape`.
        eps: ε, at least 0.

    Returns:
        y in the shape and dtype of x. 16-bit floats are computed with in float32.

    Raises:
        TypeError: no arrays of floats, mixed dtypes, or axis or eps of another type.
        ValueError: axes that x does not have, shapes that do not fit, or a negative eps.

    The derivation: docs/derivations/normalization.md.
    """
    return _along("layer_norm", x, scale, bias, axis, eps, centred=True)


def rms_norm(
    x: Array,
    scale: Array | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-6,
) -> Array:
    r"""Mean square 1 along some axes, for each index of the others.

        r = 1/√(mean x² + ε),        x̂ = x · r,        y = scale · x̂

    Layer norm without the mean, and so is its gradient: with dx̂ = scale · dy

        dx = r · (dx̂ − x̂ · mean(dx̂ · x̂))
        dscale = Σ dy · x̂

    Saved for the backward pass: x, scale, and r for each group.

    A group of zeros gives y = 0 and dx = dx̂/√ε. NaN spoils its group and dscale.

    Example:
        >>> import jax.numpy as jnp
        >>> rms_norm(jnp.array([3.0, -3.0]), eps=0).tolist()
        [1.0, -1.0]

    Args:
        x: input, any shape but ().
        scale: in the shape of x along `axis`; None is 1.
        axis: as in `jaxconv.layer_norm`.
        eps: ε, at least 0. PyTorch's default is the machine epsilon of x.

    Returns:
        y in the shape and dtype of x. 16-bit floats are computed with in float32.

    Raises:
        TypeError: no arrays of floats, mixed dtypes, or axis or eps of another type.
        ValueError: axes that x does not have, shapes that do not fit, or a negative eps.

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
