"""Images that are mixed with others, and so are their labels."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv.train.batch import NO_IMAGE
from jaxconv.train.loss import Answers


def mixed(key: Array, images: Array, labels: Array, alpha: float) -> tuple[Array, Answers]:
    """Return each image mixed with the one before it, by a share drawn from Beta(alpha, alpha).

    One share is drawn for the batch. The larger part of an image is its own.
    """
    share = jax.random.beta(key, alpha, alpha, dtype=images.dtype)
    share = jnp.maximum(share, 1 - share)
    last = jnp.maximum(jnp.sum(labels != NO_IMAGE) - 1, 0)
    before = jnp.concatenate([last[None], jnp.arange(len(images) - 1)])
    others = jnp.where(labels == NO_IMAGE, NO_IMAGE, labels[before])
    return share * images + (1 - share) * images[before], Answers(labels, others, share)
