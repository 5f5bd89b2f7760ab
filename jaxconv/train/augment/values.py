"""Random changes of the colours of an image, and what is blanked out."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv.train.promotion import as_in_numpy

GREY = (0.299, 0.587, 0.114)
"""How much red, green and blue count in the brightness of a colour (ITU-R BT.601)."""


@as_in_numpy()
def random_colors(key: Array, images: Array, most: float) -> Array:
    """Return each image with another brightness, contrast and, if it has colours, saturation.

    Each is multiplied by a number from 1 − most to 1 + most: the brightness is the distance from
    black, the contrast that from the mean brightness of the image, and the saturation that from
    grey. What leaves [0, 1] is cut off, as torchvision's ColorJitter does it.
    """
    count, *_, channels = images.shape
    factors = jax.random.uniform(
        key, (3, count, 1, 1, 1), images.dtype, minval=1 - most, maxval=1 + most
    )
    brightness, contrast, saturation = factors
    images = jnp.clip(brightness * images, 0, 1)
    mean = jnp.mean(_grey(images), axis=(1, 2, 3), keepdims=True)
    images = jnp.clip(mean + contrast * (images - mean), 0, 1)
    if channels != len(GREY):
        return images
    grey = _grey(images)
    return jnp.clip(grey + saturation * (images - grey), 0, 1)


def _grey(images: Array) -> Array:
    """Return the brightness of each pixel, with an axis of one channel."""
    if images.shape[-1] != len(GREY):
        return jnp.mean(images, axis=-1, keepdims=True)
    return jnp.sum(images * jnp.array(GREY, images.dtype), axis=-1, keepdims=True)


@as_in_numpy()
def random_holes(key: Array, images: Array, side: int) -> Array:
    """Return each image with zeros in a square of this side, whose middle is anywhere in it."""
    count, height, width, _ = images.shape
    for_row, for_column = jax.random.split(key)
    row = jax.random.randint(for_row, (count, 1, 1, 1), 0, height) - side // 2
    column = jax.random.randint(for_column, (count, 1, 1, 1), 0, width) - side // 2
    rows, columns = jnp.arange(height)[:, None, None], jnp.arange(width)[:, None]
    inside = (row <= rows) & (rows < row + side) & (column <= columns) & (columns < column + side)
    return jnp.where(inside, 0, images)
