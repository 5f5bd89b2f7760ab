"""The first batch as the network saw it."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.train.batch import as_floats, shuffled
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.report.figures import figure
from jaxconv.train.step import draw_moves, moved

BATCH = 32
"""As many images of the first batch are shown, and used for the norms of the gradients."""


def batch(config: Config, dataset: Dataset) -> str:
    """Return the images of the first batch with the names of their classes."""
    images, labels = first_batch(config, dataset)
    return "".join(
        figure(image, dataset.class_names[label])
        for image, label in zip(images, labels, strict=True)
    )


def first_batch(config: Config, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the first images of the first epoch, moved as in its first step, and their labels."""
    order = shuffled(config, 1, len(dataset.train_labels))
    chosen = order[: min(BATCH, config.batch_size)]
    images = as_floats(jnp.asarray(dataset.train_images[chosen]))
    if config.shift:
        key = jax.random.fold_in(jax.random.key(config.seed + 1), 0)
        size = min(config.batch_size, len(order))
        moves = draw_moves(key, size, config.shift)[: len(chosen)]
        images = moved(images, moves, config.shift)
    return np.asarray(images), dataset.train_labels[chosen]
