"""The mean and the standard deviation of each channel, and images that are measured by them."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv.train.batch import as_floats
from jaxconv.train.data.blocks import Images, blocks
from jaxconv.train.promotion import as_in_numpy


class Scale(NamedTuple):
    """The mean and the standard deviation of each channel."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def scale_of(images: Images) -> Scale:
    """Return mean and deviation of the channels of images (N, H, W, C), in floats.

    A channel that is the same everywhere gets a deviation of 1. They are summed in float64, block
    by block.
    """
    channels = images.shape[-1]
    count, sums, squares = 0, np.zeros(channels), np.zeros(channels)
    for block in blocks(images):
        pixels = np.asarray(as_floats(block), np.float64).reshape(-1, channels)
        count += len(pixels)
        sums += pixels.sum(axis=0)
        squares += np.square(pixels).sum(axis=0)
    mean = sums / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    # A constant channel leaves what rounding leaves of squares/count − mean².
    constant = deviation <= 1e-6 * np.abs(mean)
    deviation[constant] = 1
    return Scale(tuple(mean.tolist()), tuple(deviation.tolist()))


@as_in_numpy()
def normalized(images: Array, scale: Scale | None) -> Array:
    """Return (images − mean) / deviation by channel; without a scale, the images."""
    if scale is None:
        return images
    mean, deviation = (jnp.array(values, images.dtype) for values in scale)
    return (images - mean) / deviation
