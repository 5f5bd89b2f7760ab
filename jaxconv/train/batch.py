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
    """A batch: the images and labels at these indices. Empty places have the index NO_IMAGE."""

    images: Any
    labels: Any
    indices: Any


def shuffled(config: Config, epoch: int, count: int) -> np.ndarray:
    """Return the order of the images in this epoch, of which the first is 1."""
    return np.random.default_rng((config.seed, epoch)).permutation(count).astype(np.int32)


def steps_of(config: Config, count: int) -> int:
    """Return the number of steps of an epoch of so many images."""
    return -(-count // config.batch_size)


def split(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield the order in pieces of one size; the last is filled up with NO_IMAGE."""
    for start in range(0, len(order), size):
        piece = order[start : start + size]
        yield np.pad(piece, (0, size - len(piece)), constant_values=NO_IMAGE)


def take(batch: Batch) -> tuple[Array, Array]:
    """Return the images of a batch in floats, and the labels, NO_IMAGE where a place is empty.

    Empty places get the batch's own images again, so that its statistics are about the same.
    """
    images, labels, indices = batch
    empty = indices == NO_IMAGE
    there = jnp.maximum(jnp.sum(~empty), 1)
    again = jnp.asarray(indices)[jnp.arange(len(indices)) % there]
    shown = as_floats(images[jnp.where(empty, again, indices)])
    return shown, jnp.where(empty, NO_IMAGE, labels[indices])


def as_floats(images: Array | np.ndarray) -> Any:
    """Return bytes as floats in [0, 1], and floats as they are."""
    if images.dtype != jnp.uint8:
        return images
    return images.astype(jnp.float32) / np.float32(255)
