"""All random changes of a batch's images, in order."""

from collections.abc import Callable
from typing import Any

import jax
from jax import Array

from jaxconv.train.augment.geometry import (
    random_cuts,
    random_flips,
    random_rotations,
    random_shifts,
)
from jaxconv.train.augment.mixing import mixed
from jaxconv.train.augment.values import random_colors, random_holes
from jaxconv.train.config import Config
from jaxconv.train.loss import Answers
from jaxconv.train.normalize import Scale, normalized

Change = Callable[[Array, Array, Any], Array]


def augmented(
    config: Config, scale: Scale | None, key: Array, images: Array, labels: Array
) -> tuple[Array, Answers]:
    """Return the images as the network is trained on them, and what they show.

    The changes come in this order: a random cut scaled to the whole size, flip, rotation, shift,
    colour, normalisation, a square cut out, and mixing. Each draws its numbers with a key of its
    own, so that one does not depend on whether there is another.

    Args:
        config: how much each change may do.
        scale: the mean and deviation to normalise with, or None.
        key: of this step.
        images: (N, H, W, C) in floats.
        labels: (N,), NO_IMAGE where there is none; these are the last places.
    """
    changes: tuple[tuple[float | None, Change], ...] = (
        (config.crop if config.crop != 1 else 0, random_cuts),
        (config.flip, random_flips),
        (config.rotate, random_rotations),
        (config.shift, random_shifts),
        (config.color, random_colors),
    )
    for number, (amount, change) in enumerate(changes):
        if amount:
            # A shift has the step's own key, so that runs which only shift are as they were before
            # there were other changes.
            own = key if change is random_shifts else jax.random.fold_in(key, number)
            images = change(own, images, amount)
    images = normalized(images, scale)
    if config.cutout:
        images = random_holes(jax.random.fold_in(key, len(changes)), images, config.cutout)
    if config.mixup:
        return mixed(jax.random.fold_in(key, len(changes) + 1), images, labels, config.mixup)
    return images, Answers(labels)
