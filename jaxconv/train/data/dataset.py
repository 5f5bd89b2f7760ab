"""What a data set is, and what is asked of images and labels, wherever they are from."""

from typing import NamedTuple

import numpy as np

Part = tuple[np.ndarray, np.ndarray]


class Dataset(NamedTuple):
    """Images (N, H, W, C) as float32, labels (N,) in [0, classes) as int32.

    Images that were bytes are in [0, 1].
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int


def as_images(where: str, array: np.ndarray) -> np.ndarray:
    """Bytes as parts of 255, floats as they are; (N, H, W) gets an axis of one channel.

    Raises:
        ValueError: they are no images; `where` they are from begins the message.
    """
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise ValueError(
            f"{where} should hold images (N, H, W) or (N, H, W, C), but holds {array.shape}"
        )
    images = array.reshape(*array.shape[:3], -1)
    if images.dtype == np.uint8:
        return images / np.float32(255)
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"{where} should hold bytes or floats, but holds {images.dtype}")
    images = images.astype(np.float32)
    if not np.isfinite(images).all():
        raise ValueError(f"{where} should hold finite numbers, but NaN or infinity is among them")
    return images


def as_labels(where: str, array: np.ndarray, count: int) -> np.ndarray:
    """Whole numbers from 0 on, one for each of `count` images; (N, 1) is (N,).

    Raises:
        ValueError: they are no such labels; `where` they are from begins the message.
    """
    if array.shape not in ((count,), (count, 1)):
        raise ValueError(
            f"{where} should hold {count} labels, one per image, but holds {array.shape}"
        )
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{where} should hold whole numbers, but holds {array.dtype}")
    if array.min() < 0:
        raise ValueError(f"{where}: labels begin at 0, but one is {array.min()}")
    if array.max() >= 2**31:
        raise ValueError(f"{where}: labels are below 2**31, but one is {array.max()}")
    return array.reshape(count).astype(np.int32)


def check_labels(where: str, labels: np.ndarray, classes: int) -> None:
    """Raise ValueError if one of them is of no class; `where` they are from begins the message."""
    if labels.max() >= classes:
        raise ValueError(f"{where}: labels are 0 to {classes - 1}, but one is {labels.max()}")


def together(where: str, train: Part, test: Part, classes: int | None = None) -> Dataset:
    """Two parts as one data set, whose classes are those of the training labels, if not given.

    Raises:
        ValueError: they do not belong together; `where` they are from begins the message.
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


def held_out(where: str, images: np.ndarray, labels: np.ndarray) -> Dataset:
    """All there is, in a fixed shuffle of which a fifth is to test on.

    Raises:
        ValueError: there are fewer than five images; `where` they are from begins the message.
    """
    if len(images) < 5:
        raise ValueError(
            f"{where} should hold at least 5 images, to hold out a fifth, but holds {len(images)}"
        )
    order = np.random.default_rng(0).permutation(len(images))  # the same whatever the seed
    test, train = np.split(order, [len(order) // 5])
    return together(where, (images[train], labels[train]), (images[test], labels[test]))
