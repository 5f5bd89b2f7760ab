"""Random changes of where things are in an image."""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxconv.train.promotion import as_in_numpy

NARROW, WIDE = 3 / 4, 4 / 3
"""The least and the largest ratio of width to height of a random cut."""


@as_in_numpy()
def random_cuts(key: Array, images: Array, least: float) -> Array:
    """Return a random cut of each image, scaled to the size of the whole.

    A cut has from `least` up to all of the area, and a ratio of width to height from NARROW to
    WIDE.
    """
    count, height, width, channels = images.shape
    for_area, for_ratio, for_place = jax.random.split(key, 3)
    area = jax.random.uniform(for_area, (count,), minval=least)
    log_ratio = jax.random.uniform(
        for_ratio, (count,), minval=math.log(NARROW), maxval=math.log(WIDE)
    )
    sides = jnp.stack([jnp.exp(-log_ratio / 2), jnp.exp(log_ratio / 2)], axis=1)
    shares = jnp.minimum(1, jnp.sqrt(area)[:, None] * sides)
    corners = jax.random.uniform(for_place, (count, 2)) * (1 - shares)
    size = jnp.array([height, width], jnp.float32)

    def cut(image: Array, share: Array, corner: Array) -> Array:
        return jax.image.scale_and_translate(
            image,
            (height, width, channels),
            (0, 1),
            scale=1 / share,
            translation=-corner * size / share,
            method="linear",
            antialias=False,
        )

    return jax.vmap(cut)(images, shares, corners)


def random_flips(key: Array, images: Array, flip: bool = True) -> Array:
    """Return each image, or, with a probability of 1/2, what a mirror shows of it."""
    chosen = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
    return jnp.where(chosen, images[:, :, ::-1], images)


@as_in_numpy()
def random_rotations(key: Array, images: Array, most: float) -> Array:
    """Return each image rotated about its middle by at most this many degrees.

    Zeros fill the corners.
    """
    count, height, width, channels = images.shape
    angles = jax.random.uniform(key, (count,), minval=-most, maxval=most) * (math.pi / 180)
    middle = (height - 1) / 2, (width - 1) / 2
    rows, columns = jnp.meshgrid(
        jnp.arange(height) - middle[0], jnp.arange(width) - middle[1], indexing="ij"
    )

    def rotate(image: Array, angle: Array) -> Array:
        sine, cosine = jnp.sin(angle), jnp.cos(angle)
        places = (
            middle[0] + cosine * rows - sine * columns,
            middle[1] + sine * rows + cosine * columns,
        )
        return jnp.stack(
            [
                jax.scipy.ndimage.map_coordinates(image[..., c], list(places), order=1)
                for c in range(channels)
            ],
            axis=-1,
        )

    return jax.vmap(rotate)(images, angles)


def random_shifts(key: Array, images: Array, most: int) -> Array:
    """Return each image moved by at most this many pixels each way; zeros fill it up."""
    return moved(images, draw_moves(key, len(images), most), most)


def draw_moves(key: Array, count: int, by: int) -> Array:
    """Draw each image's move along its two axes, from 0 to 2·by, where `by` means no move."""
    return jax.random.randint(key, (count, 2), 0, 2 * by + 1, dtype=jnp.int32)


def moved(images: Array, moves: Array, by: int) -> Array:
    """Return each image moved by its move; zeros fill the space that it leaves."""
    padded = jnp.pad(images, ((0, 0), (by, by), (by, by), (0, 0)))

    def crop(image: Array, corner: Array) -> Array:
        row, column = corner
        return lax.dynamic_slice(image, (row, column, jnp.zeros_like(row)), images.shape[1:])

    return jax.vmap(crop)(padded, moves)
