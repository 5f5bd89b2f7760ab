"""The type of a data set, and the parts it is made of."""

import hashlib
from typing import NamedTuple

import numpy as np

from jaxconv.train.data.blocks import Images, blocks

Part = tuple[Images, np.ndarray]
"""Images and labels."""


class Dataset(NamedTuple):
    """Images (N, H, W, C), bytes or float32, and labels (N,) in [0, classes) as int32.

    The images may be on the disk.

    Attributes:
        train_images: the images to train on.
        train_labels: their labels.
        test_images: the images that are held out.
        test_labels: their labels.
        classes: the number of classes.
        names: the names of the classes; () if they are numbers.
        notes: what a person should know about how the files were read, in sentences.
        last: images and labels that are looked at only once, after the training.
    """

    train_images: Images
    train_labels: np.ndarray
    test_images: Images
    test_labels: np.ndarray
    classes: int
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    last: Part | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; their numbers if they have no names."""
        return self.names or tuple(map(str, range(self.classes)))

    @property
    def fingerprint(self) -> str:
        """A hash of everything that training and its results depend on."""
        known = hashlib.sha256(repr((self.classes, self.names)).encode())
        for array in (*self[:4], *(self.last or ())):
            known.update(f"{array.dtype} {array.shape}".encode())
            for block in blocks(array):
                known.update(np.ascontiguousarray(block).data)
        return known.hexdigest()


def together(where: str, train: Part, test: Part, classes: int | None = None) -> Dataset:
    """Join two parts to a data set; if `classes` is not given, the training labels say it.

    Raises:
        ValueError: the parts do not fit together; the message begins with `where` they are from.
    """
    shapes = [images.shape[1:] for images, _ in (train, test)]
    if shapes[0] != shapes[1]:
        train_shape, test_shape = (" × ".join(map(str, shape)) for shape in shapes)
        raise ValueError(
            f"{where}: images to train on are {train_shape}, those to test on {test_shape}"
        )
    if classes is not None:
        return Dataset(*train, *test, classes=classes)
    classes = int(train[1].max()) + 1
    if classes > len(train[1]):
        raise ValueError(
            f"{where}: labels go up to {classes - 1}, but there are only {len(train[1])} images"
            " to train on"
        )
    if test[1].max() >= classes:
        raise ValueError(
            f"{where}: labels to train on go up to {classes - 1}, but one to test on is"
            f" {test[1].max()}"
        )
    return Dataset(*train, *test, classes=classes)
