"""What the steps of a run know of its training images as a whole."""

import numpy as np

from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.normalize import scale_of
from jaxconv.train.step import Seen


def seen_of(config: Config, dataset: Dataset) -> Seen:
    """Return the mean and deviation of the training images, and the weights of their classes.

    Both only if `config` asks for them.
    """
    scale = scale_of(dataset.train_images) if config.normalize else None
    balanced = config.class_weights == "balanced"
    return Seen(scale, balanced_weights(dataset) if balanced else None)


def balanced_weights(dataset: Dataset) -> tuple[float, ...]:
    """Return N/(classes · images of the class) for each class; 0 if it has no image."""
    counts = np.bincount(dataset.train_labels, minlength=dataset.classes)
    total = len(dataset.train_labels)
    weights = np.where(counts > 0, total / (dataset.classes * np.maximum(counts, 1)), 0)
    return tuple(weights.tolist())
