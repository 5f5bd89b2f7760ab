"""A batch of images, and the ops that compute it: what training and prediction share."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxconv
import jaxconv.reference
from jaxconv.train.config import Config

OPS = {"hand": jaxconv, "autodiff": jaxconv.reference}

NO_IMAGE = -1  # among a batch's indices: an empty place


class Batch(NamedTuple):
    """A batch: the images and labels at these indices. Empty places have the index NO_IMAGE.

    Without indices, images and labels are the batch itself, and empty places have the label
    NO_IMAGE.
    """

    images: Array | np.ndarray
    labels: Any
    indices: Array | np.ndarray | None = None


def shuffled(config: Config, epoch: int, count: int) -> np.ndarray:
    """Return the order of the images in this epoch, of which the first is 1."""
    return np.random.default_rng((config.seed, epoch)).permutation(count).astype(np.int32)


def steps_of(config: Config, count: int) -> int:
    """Return the number of steps of an epoch of `count` images."""
    return -(-count // config.batch_size)


def split(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield the order in pieces of one size; the last is filled up with NO_IMAGE."""
    for start in range(0, len(order), size):
        piece = order[start : start + size]
        yield np.pad(piece, (0, size - len(piece)), constant_values=NO_IMAGE)


def take(batch: Batch) -> tuple[Array, Array]:
    """Return the images of a batch in floats, and the labels, NO_IMAGE where a place is empty."""
    images, labels, indices = batch
    if indices is None:
        return as_floats(images), labels
    labels = jnp.where(indices == NO_IMAGE, NO_IMAGE, labels[indices])
    return as_floats(images[filled_up(indices)]), labels


def filled_up(indices: Any) -> Any:
    """Return the indices with those of the batch again instead of NO_IMAGE.

    So the statistics of the batch are about those of its images.
    """
    numpy: Any = np if isinstance(indices, np.ndarray) else jnp
    there = numpy.maximum(numpy.sum(indices != NO_IMAGE), 1)
    again = indices[numpy.arange(len(indices)) % there]
    return numpy.where(indices == NO_IMAGE, again, indices)


def as_floats(images: Array | np.ndarray) -> Any:
    """Return bytes as floats in [0, 1], and floats as they are."""
    if images.dtype != jnp.uint8:
        return images
    return images.astype(jnp.float32) / np.float32(255)
