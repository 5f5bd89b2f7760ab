"""Images that are held out, if nobody has chosen which."""

import numpy as np

from jaxconv.train.data.blocks import Images
from jaxconv.train.data.dataset import Dataset, Part, together
from jaxconv.train.data.stored import chosen

FIFTH = 5
"""One image in this many is held out, if nobody has chosen which."""


def held_out(where: str, images: Images, labels: np.ndarray) -> Dataset:
    """Shuffle all images in a fixed order, and hold a fifth of them out for testing."""
    order = np.random.default_rng(0).permutation(len(images))  # for any seed of the run
    test, train = np.split(order, [len(order) // FIFTH])
    return together(where, _part(images, labels, train), _part(images, labels, test))


def stratified(where: str, images: Images, labels: np.ndarray, seed: int) -> Dataset:
    """Hold a fifth of each class out for testing, at least one image of every class that has two.

    Raises:
        ValueError: no class has two images; the message begins with `where` they are from.
    """
    random = np.random.default_rng((seed, FIFTH))
    held = []
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        count = max(1, round(len(members) / FIFTH)) if len(members) > 1 else 0
        held.append(members[:count])
    test = np.sort(np.concatenate(held))
    if not len(test):
        raise ValueError(
            f"{where} should hold two images or more of a class, to hold out one, but holds one"
            " of each"
        )
    train = np.setdiff1d(np.arange(len(labels)), test)
    return together(where, _part(images, labels, train), _part(images, labels, test))


def with_validation(where: str, dataset: Dataset, count: int, seed: int) -> Dataset:
    """Hold `count` of the training images out, of every class alike, and keep the others for last.

    Raises:
        ValueError: there is a part for the end already, or there are not enough images; the message
            begins with `where` they are from.
    """
    images, labels = dataset[:2]
    if dataset.last is not None:
        raise ValueError(f"{where} has images for validation already: --validation is for others")
    if count >= len(labels):
        raise ValueError(
            f"{where} has {len(labels):,} images to train on, of which --validation {count:,} would"
            " leave none"
        )
    random = np.random.default_rng((seed, count))
    members = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    ends = np.round(np.cumsum([len(each) for each in members]) * count / len(labels)).astype(int)
    counts = np.diff(ends, prepend=0)
    held = np.sort(np.concatenate([each[:n] for each, n in zip(members, counts, strict=True)]))
    train = np.setdiff1d(np.arange(len(labels)), held)
    own, other = (_part(images, labels, numbers) for numbers in (train, held))
    last = (dataset.test_images, dataset.test_labels)
    return Dataset(*own, *other, dataset.classes, dataset.names, dataset.notes, last)


def _part(images: Images, labels: np.ndarray, numbers: np.ndarray) -> Part:
    return chosen(images, numbers), labels[numbers]
