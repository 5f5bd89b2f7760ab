"""Global pooling: a single window that covers the whole image."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import Layout, as_array, as_bool, check_floating, check_number
from jaxconv._core.geometry import Ints, Windows, check_positions, image_axes
from jaxconv._core.shapes import Shaped
from jaxconv.pooling._extremes import LARGEST
from jaxconv.pooling.avg_pool import mean_rule
from jaxconv.pooling.max_pool import extreme


def global_avg_pool(
    x: Shaped[Array, "N *spatial C"], *, keepdims: bool = False, layout: Layout = "channels_last"
) -> Shaped[Array, "N C"] | Shaped[Array, "N *#spatial C"]:
    r"""The mean of each channel over all positions.

        y[n, c]     = 1/P · Σ_p x[n, p, c],        P = how many positions there are

        dx[n, p, c] = dy[n, c] / P

    This is `jaxconv.avg_pool` with a window as large as x. Nothing is saved for the backward pass.

    Example:
        >>> import jax.numpy as jnp
        >>> global_avg_pool(jnp.array([[[1.0], [3.0], [2.0], [0.0]]])).tolist()
        [[1.5]]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions.
        keepdims: whether to keep the spatial axes, with size 1.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, C) in the dtype of x, with keepdims also in its layout; 16-bit floats are summed
        in float32.

    Raises:
        TypeError: x is not a floating-point array, or keepdims is not a bool.
        ValueError: x has no positions, or the layout is unknown.

    The derivation: docs/derivations/pooling.md.
    """
    x = as_array("global_avg_pool", "x", x)
    check_floating("global_avg_pool", x=x)
    g = _whole("global_avg_pool", x, layout)
    keepdims = as_bool("global_avg_pool", "keepdims", keepdims)
    y = mean_rule(g, True, None, x)
    return y if keepdims else jnp.squeeze(y, g.spatial_axes)


def global_max_pool(
    x: Shaped[Array, "N *spatial C"], *, keepdims: bool = False, layout: Layout = "channels_last"
) -> Shaped[Array, "N C"] | Shaped[Array, "N *#spatial C"]:
    r"""The largest value of each channel over all positions.

        y[n, c]     = max_p x[n, p, c]

        dx[n, p, c] = dy[n, c] at the first maximum p, else 0

    This is `jaxconv.max_pool` with a window as large as x and `ties="first"`: among equal values
    the first in row-major order gets the gradient, or the first NaN if there is one.
    (`torch.amax` and `jnp.max` over the spatial axes split the gradient among equal values.)
    Saved for the backward pass: the position p, as the smallest unsigned integer that holds it.

    Example:
        >>> import jax.numpy as jnp
        >>> global_max_pool(jnp.array([[[1.0], [3.0], [2.0], [0.0]]])).tolist()
        [[3.0]]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions; floats or integers.
        keepdims: whether to keep the spatial axes, with size 1.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, C) in the dtype of x, with keepdims also in its layout.

    Raises:
        TypeError: x is not an array of numbers, or keepdims is not a bool.
        ValueError: x has no positions, or the layout is unknown.

    The derivation: docs/derivations/pooling.md.
    """
    x = as_array("global_max_pool", "x", x)
    check_number("global_max_pool", x=x)
    g = _whole("global_max_pool", x, layout)
    keepdims = as_bool("global_max_pool", "keepdims", keepdims)
    y = extreme(LARGEST, g, "first", x)
    return y if keepdims else jnp.squeeze(y, g.spatial_axes)


def _whole(op: str, x: Array, layout: Layout) -> Windows:
    """Return one window that covers all of x."""
    axes, _ = image_axes(op, x, layout)
    size = tuple(x.shape[axis] for axis in axes)
    check_positions(op, x, axes)
    return tiling(size, (1,) * len(size), layout)


def tiling(size: Ints, output: Ints, layout: Layout) -> Windows:
    """Return `output` windows side by side; in each dimension they must divide the size."""
    window = tuple(n // o for n, o in zip(size, output, strict=True))
    return Windows(
        size=size,
        window=window,
        stride=window,
        dilation=(1,) * len(size),
        padding=((0, 0),) * len(size),
        layout=layout,
    )
