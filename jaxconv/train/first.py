"""The first batch of a run, as the network sees it."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.train.augment import augmented
from jaxconv.train.batch import NO_IMAGE, as_floats, shuffled
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.loss import Answers
from jaxconv.train.normalize import Scale
from jaxconv.train.step import Seen

MOST = 32
"""As many images of it are looked at."""


class First(NamedTuple):
    """The first images of the first step.

    Attributes:
        images: as the network sees them.
        answers: what they show.
        colours: the images without their normalisation, for people to look at.
    """

    images: np.ndarray
    answers: Answers
    colours: np.ndarray

    def captions(self, names: Sequence[str], between: str = ", ") -> list[str]:
        """Return what each image shows; if it is a mixture, with the share of each part."""
        labels, others, share = self.answers
        if others is None:
            return [names[label] for label in labels]
        own = round(100 * float(share))
        return [
            between.join(_parts(names[label], names[other], own))
            for label, other in zip(labels, others, strict=True)
        ]


def first_batch(config: Config, dataset: Dataset, seen: Seen) -> First:
    """Return the first images of the first epoch, changed as in its first step."""
    order = shuffled(config, 1, len(dataset.train_labels))[: config.batch_size]
    images = as_floats(jnp.asarray(dataset.train_images[order]))
    labels = jnp.asarray(dataset.train_labels[order])
    # A batch is as large as in the run, because the drawn numbers depend on it.
    empty = config.batch_size - len(order)
    images = jnp.pad(images, ((0, empty), (0, 0), (0, 0), (0, 0)))
    labels = jnp.pad(labels, (0, empty), constant_values=NO_IMAGE)
    key = jax.random.fold_in(jax.random.key(config.seed + 1), 0)
    images, answers = jax.jit(lambda *args: augmented(config, seen.scale, *args))(
        key, images, labels
    )
    few = slice(0, min(MOST, len(order)))
    shown = np.asarray(images)[few]
    others = None if answers.others is None else np.asarray(answers.others)[few]
    known = Answers(np.asarray(answers.labels)[few], others, answers.share)
    return First(shown, known, _colours(shown, seen.scale))


def _parts(name: str, other: str, own: int) -> list[str]:
    """Return the names of an image and its partner with their shares, if it has both in it."""
    if name == other or own == 100:
        return [name]
    return [f"{name} {own}%", f"{other} {100 - own}%"] if own else [other]


def _colours(images: np.ndarray, scale: Scale | None) -> np.ndarray:
    """Return images without their normalisation."""
    if scale is None:
        return images
    mean, deviation = (np.array(values, images.dtype) for values in scale)
    return np.clip(images * deviation + mean, 0, 1)
