"""The bias of a convolution: one number a channel, the same at every sample and position."""

import jax.numpy as jnp
from jax import Array

from jaxconv.arguments import accumulator
from jaxconv.geometry import ConvGeometry


def along_channels(g: ConvGeometry, b: Array) -> Array:
    """b, shaped to be added at every sample and position."""
    return jnp.expand_dims(b, tuple(range(1, g.dims + 1))) if g.channel_axis == 1 else b


def over_positions(g: ConvGeometry, dy: Array) -> Array:
    """The bias gradient: dy summed over every sample and position."""
    summed = (0, *g.spatial_axes)
    return jnp.sum(dy, axis=summed, dtype=accumulator(dy.dtype)).astype(dy.dtype)
