"""A batch of images, and the ops that compute it: what training and prediction share."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxconv
import jaxconv.reference
from jaxconv.train.config import Config

OPS = {"hand": jaxconv, "autodiff": jaxconv.reference}

NO_IMAGE = -1  # among a batch's indices: an empty place


def shuffled(config: Config, epoch: int, count: int) -> np.ndarray:
    """Return the order of the images in this epoch, of which the first is 1."""
    return np.random.default_rng((config.seed, epoch)).permutation(count).astype(np.int32)


def take(images: Array, labels: Array, indices: Array) -> tuple[Array, Array]:
    """Return the batch at these indices, in floats."""
    batch_labels = jnp.where(indices == NO_IMAGE, NO_IMAGE, labels[indices])
    return as_floats(images[indices]), batch_labels


def as_floats(images: Array | np.ndarray) -> Any:
    """Return bytes as floats in [0, 1], and floats as they are."""
    if images.dtype != jnp.uint8:
        return images
    return images.astype(jnp.float32) / np.float32(255)
