"""The bias of a convolution: one number a channel, the same at every sample and position."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import accumulator
from jaxconv._core.conv_call import ConvCall


def along_channels(call: ConvCall, b: Array) -> Array:
    """b, shaped to be added at every sample and position."""
    return jnp.expand_dims(b, (0, *call.spatial_axes))


def over_positions(call: ConvCall, dy: Array) -> Array:
    """The bias gradient: dy summed over every sample and position."""
    summed = (0, *call.spatial_axes)
    return jnp.sum(dy, axis=summed, dtype=accumulator(dy.dtype)).astype(dy.dtype)
