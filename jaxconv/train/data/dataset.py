"""The type of a data set, and the checks of images and labels from any source."""

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
    """Return bytes divided by 255, and floats unchanged; (N, H, W) gets an axis of one channel.

    Raises:
        ValueError: the array holds no images; the message begins with `where` it is from.
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
    """Return labels, integers from 0 on, one for each of `count` images; (N, 1) becomes (N,).

    Raises:
        ValueError: the array holds no such labels; the message begins with `where` it is from.
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
    """Raise ValueError if a label is not below `classes`; the message begins with `where`."""
    if labels.max() >= classes:
        raise ValueError(f"{where}: labels are 0 to {classes - 1}, but one is {labels.max()}")


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


def held_out(where: str, images: np.ndarray, labels: np.ndarray) -> Dataset:
    """Shuffle all images in a fixed order, and hold a fifth of them out for testing.

    Raises:
        ValueError: there are fewer than five images; the message begins with `where` they are from.
    """
    if len(images) < 5:
        raise ValueError(
            f"{where} should hold at least 5 images, to hold out a fifth, but holds {len(images)}"
        )
    order = np.random.default_rng(0).permutation(len(images))  # for any seed of the run
    test, train = np.split(order, [len(order) // 5])
    return together(where, (images[train], labels[train]), (images[test], labels[test]))
