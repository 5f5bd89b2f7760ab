"""Exchange channels for positions and back: pixel_shuffle and pixel_unshuffle."""

import math
from typing import NamedTuple

import numpy as np
from jax import Array, lax

from jaxconv._core.arguments import IntOrInts, Layout, per_dimension
from jaxconv._core.geometry import Ints, spatial_axes
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv._core.sharding import reshape
from jaxconv.resampling._rows import as_image


def pixel_shuffle(
    x: Shaped[Array, "N *spatial C·Πr"], factor: IntOrInts, *, layout: Layout = "channels_last"
) -> Shaped[Array, "N *spatial_out C"]:
    r"""Move channels into an image r times as large: depth to space.

        y[n, r·p + a, c]           = x[n, p, c·Πr + a],        0 ≤ a < r

        dx[n, p, c·Πr + a]         = dy[n, r·p + a, c]

    The offsets a are flattened, the last dimension running fastest. Every number is moved once,
    so the backward pass is `pixel_unshuffle` of dy. Nothing is saved for it.

    In both layouts the channels are in PyTorch's order, c before a: channels_first equals
    `F.pixel_shuffle`, and channels_last only moves the channel axis. TensorFlow's
    `depth_to_space` has a before c.

    Example:
        >>> import jax.numpy as jnp
        >>> pixel_shuffle(jnp.array([[[1.0, 2.0], [3.0, 4.0]]]), 2)[0, :, 0].tolist()
        [1.0, 2.0, 3.0, 4.0]

    Args:
        x: input, (N, *spatial, C·Πr) with 1, 2 or 3 spatial dimensions.
        factor: r, an int or one per spatial dimension.
        layout: "channels_first" means (N, C·Πr, *spatial).

    Returns:
        y, (N, *(r·spatial), C) in the layout and dtype of x.

    Raises:
        TypeError: x is not a floating-point array, or a factor is not an int.
        ValueError: Πr does not divide the number of channels, a factor is less than 1, or the
            layout is unknown.

    The derivation: docs/derivations/resampling.md.
    """
    x, axes, channel_axis = as_image("pixel_shuffle", x, layout)
    factors = per_dimension("pixel_shuffle", "factor", factor, len(axes), 1)
    channels, offsets = x.shape[channel_axis], math.prod(factors)
    if channels % offsets:
        raise ValueError(
            f"pixel_shuffle: x has {channels} channels, which is not a multiple of {offsets}"
            f" (factor {factors})"
        )
    return _shuffle(_Tiles(factors, layout), x)


def pixel_unshuffle(
    x: Shaped[Array, "N *spatial C"], factor: IntOrInts, *, layout: Layout = "channels_last"
) -> Shaped[Array, "N *spatial_out C·Πr"]:
    r"""Move the tiles of an image into channels, which makes it r times smaller: space to depth.

        y[n, p, c·Πr + a]  = x[n, r·p + a, c],        0 ≤ a < r

        dx[n, r·p + a, c]  = dy[n, p, c·Πr + a]

    This is the inverse and the transpose of `pixel_shuffle`. channels_first equals PyTorch's
    `F.pixel_unshuffle`, and also `jaxconv.unfold` of windows side by side, except that positions
    are not flattened here. Nothing is saved for the backward pass.

    Example:
        >>> import jax.numpy as jnp
        >>> pixel_unshuffle(jnp.array([[[1.0], [2.0], [3.0], [4.0]]]), 2)[0].tolist()
        [[1.0, 2.0], [3.0, 4.0]]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions.
        factor: r, an int or one per spatial dimension; it must divide the size of the dimension.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, *(spatial/r), C·Πr) in the layout and dtype of x.

    Raises:
        TypeError: x is not a floating-point array, or a factor is not an int.
        ValueError: r does not divide a size, a factor is less than 1, or the layout is unknown.

    The derivation: docs/derivations/resampling.md.
    """
    x, axes, _ = as_image("pixel_unshuffle", x, layout)
    factors = per_dimension("pixel_unshuffle", "factor", factor, len(axes), 1)
    for d, (axis, r) in enumerate(zip(axes, factors, strict=True)):
        if x.shape[axis] % r:
            raise ValueError(
                f"pixel_unshuffle: x has {x.shape[axis]} positions in spatial dimension {d},"
                f" which is not a multiple of {r} (factor {factors})"
            )
    return _unshuffle(_Tiles(factors, layout), x)


class _Tiles(NamedTuple):
    """The static geometry: tiles that are channels on one side and positions on the other."""

    factors: Ints
    layout: Layout

    def shapes(self, n: int, size: Ints, c: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Return the shapes on the way from (N, *size, C·Πr) to (N, *(r·size), C).

        Returns:
            The small shape; the large shape with (p, a) as two axes; the order in which the small
            shape has these axes; the large shape.
        """
        dims, channels = len(size), c * math.prod(self.factors)
        large = tuple(p * r for p, r in zip(size, self.factors, strict=True))
        apart = tuple(axis for pair in zip(size, self.factors, strict=True) for axis in pair)
        if self.layout == "channels_last":
            p, a, last = range(1, 2 * dims, 2), range(2, 2 * dims + 1, 2), 2 * dims + 1
            return (n, *size, channels), (n, *apart, c), (0, *p, last, *a), (n, *large, c)
        p, a = range(2, 2 * dims + 1, 2), range(3, 2 * dims + 2, 2)
        return (n, channels, *size), (n, c, *apart), (0, 1, *a, *p), (n, c, *large)


def _shuffle_forward(g: _Tiles, x: Array) -> tuple[Array, None]:
    return _shuffled(g, x), None


def _shuffle_backward(g: _Tiles, residuals: None, dy: Array) -> tuple[Array]:
    return (_unshuffled(g, dy),)


_shuffle = Rule(_shuffle_forward, _shuffle_backward, static=1, name="pixel_shuffle")


def _unshuffle_forward(g: _Tiles, x: Array) -> tuple[Array, None]:
    return _unshuffled(g, x), None


def _unshuffle_backward(g: _Tiles, residuals: None, dy: Array) -> tuple[Array]:
    return (_shuffled(g, dy),)


_unshuffle = Rule(_unshuffle_forward, _unshuffle_backward, static=1, name="pixel_unshuffle")


def _shuffled(g: _Tiles, x: Array) -> Array:
    axes, channel_axis = spatial_axes(len(g.factors), g.layout)
    size = tuple(x.shape[axis] for axis in axes)
    c = x.shape[channel_axis] // math.prod(g.factors)
    _, apart, order, large = g.shapes(x.shape[0], size, c)
    tiles = reshape(x, [apart[axis] for axis in order])
    return reshape(lax.transpose(tiles, np.argsort(order)), large)


def _unshuffled(g: _Tiles, x: Array) -> Array:
    axes, channel_axis = spatial_axes(len(g.factors), g.layout)
    size = tuple(x.shape[axis] // r for axis, r in zip(axes, g.factors, strict=True))
    small, apart, order, _ = g.shapes(x.shape[0], size, x.shape[channel_axis])
    return reshape(lax.transpose(reshape(x, apart), order), small)
