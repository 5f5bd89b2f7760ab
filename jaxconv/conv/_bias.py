"""The bias of a convolution: one number per channel, added at every sample and position."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import accumulator
from jaxconv._core.conv_call import ConvCall


def along_channels(call: ConvCall, b: Array) -> Array:
    """Return b in a shape that broadcasts over samples and positions."""
    return jnp.expand_dims(b, (0, *call.spatial_axes))


def over_positions(call: ConvCall, dy: Array) -> Array:
    """Return the bias gradient: dy summed over all samples and positions."""
    summed = (0, *call.spatial_axes)
    return jnp.sum(dy, axis=summed, dtype=accumulator(dy.dtype)).astype(dy.dtype)
