"""Images and labels in arrays from any source: what they hold is found out, and said."""

from functools import partial

import numpy as np

from jaxconv.train.data.blocks import Images, blocks, extremes
from jaxconv.train.data.dataset import Part
from jaxconv.train.data.stored import Stored

Array = np.ndarray | Stored

CHANNELS = (1, 3, 4)

SCALES = (16, 255, 2**16 - 1)
"""What white is in scikit-learn's digits, and in pictures of 8 bits and of 16 bits."""


def as_images(where: str, array: Array, notes: list[str], scale: int = 1) -> Images:
    """Return images (N, H, W, C): bytes as they are, other numbers divided by `scale`, as float32.

    (N, H, W) gets an axis of one channel, and of (N, C, H, W) the channels go last.

    Raises:
        ValueError: the array holds no images; the message begins with `where` it is from.
    """
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise ValueError(
            f"{where} should hold images (N, H, W) or (N, H, W, C), but holds {array.shape}"
        )
    if array.dtype.kind not in "buif":
        raise ValueError(f"{where} should hold numbers, but holds {array.dtype}")
    first = array.ndim == 4 and array.shape[1] in CHANNELS and array.shape[3] not in CHANNELS
    if first:
        notes.append(f"{where} has its channels first, {array.shape}; they were moved last")
    if array.dtype.kind == "f" and not all(np.isfinite(block).all() for block in blocks(array)):
        raise ValueError(f"{where} should hold finite numbers, but NaN or infinity is among them")
    change = partial(_changed, channels_first=first, scale=scale)
    return array.then(change) if isinstance(array, Stored) else change(array)


def _changed(array: np.ndarray, channels_first: bool, scale: int) -> np.ndarray:
    """Return an array as images (N, H, W, C), of bytes or of float32."""
    if channels_first:
        array = np.moveaxis(array, 1, 3)
    images = array if array.ndim == 4 else array[..., None]
    if images.dtype == np.uint8:
        return images
    images = images.astype(np.float32)
    return images / np.float32(scale) if scale > 1 else images


def scale_of(where: str, array: Array, notes: list[str]) -> int:
    """Return by what images are divided to lie in [0, 1]: 1 if they are bytes or lie there already.

    Numbers below 0 are no colours, but what somebody has made of them, and are left alone.
    """
    if array.dtype.kind not in "iuf" or array.dtype == np.uint8 or not array.size:
        return 1
    low, high = extremes(array)
    scale = next((scale for scale in SCALES if high <= scale), 1)
    # Colours in [0, 1] may overshoot a little, for example where they were sharpened.
    if scale == 1 or not low >= 0 or not high > 2:
        return 1
    notes.append(f"{where} holds numbers up to {high:g}, which were divided by {scale}")
    return scale


def as_labels(where: str, array: np.ndarray, count: int, notes: list[str]) -> np.ndarray:
    """Return labels (N,) as int32 or as text; (N, 1) loses its axis, and one-hot rows their zeros.

    Raises:
        ValueError: the array holds no labels of `count` images; the message begins with `where` it
            is from.
    """
    if array.ndim == 2 and array.shape[1] > 1 and len(array) == count and _is_one_hot(array):
        notes.append(f"{where} is one-hot, {array.shape}: the place of the 1 is the label")
        array = np.argmax(array, axis=1)
    if array.shape not in ((count,), (count, 1)):
        raise ValueError(
            f"{where} should hold {count} labels, one per image, but holds {array.shape}"
        )
    labels = array.reshape(count)
    if labels.dtype.kind in "US":
        return labels.astype(str)
    if labels.dtype.kind == "f" and (labels == np.floor(labels)).all():
        labels = labels.astype(np.int64)
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{where} should hold whole numbers or names, but holds {labels.dtype}")
    if labels.max() >= 2**31 or labels.min() < -(2**31):
        raise ValueError(f"{where}: labels are below 2**31, but one is {labels.max()}")
    return labels.astype(np.int32)


def _is_one_hot(array: np.ndarray) -> bool:
    return bool(np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all())


def numbered(where: str, parts: list[Part], notes: list[str]) -> tuple[list[Part], tuple[str, ...]]:
    """Return the parts with labels from 0 on without gaps, and the names of the classes.

    The classes are those of the first part. Labels that are 0, 1, … already have no names.

    Raises:
        ValueError: another part has a label that the first has not; the message begins with
            `where` they are from.
    """
    known = np.unique(parts[0][1])
    for _, labels in parts[1:]:
        for label in np.setdiff1d(labels, known)[:1]:
            raise ValueError(
                f"{where}: an image to test on has the label {label!s}, but none to train on has"
            )
    if known.dtype.kind == "i" and np.array_equal(known, np.arange(len(known))):
        return parts, ()
    names = tuple(str(label) for label in known)
    if known.dtype.kind == "i":
        notes.append(
            f"{where}: the labels are {_listed(names)}, which became 0 to {len(names) - 1}"
        )
    found = [(images, np.searchsorted(known, labels).astype(np.int32)) for images, labels in parts]
    return found, names


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names if len(names) <= 4 else (*names[:2], "…", names[-1]))


def check_labels(where: str, labels: np.ndarray, classes: int) -> None:
    """Raise ValueError if a label is not below `classes`; the message begins with `where`."""
    if labels.max() >= classes:
        raise ValueError(f"{where}: labels are 0 to {classes - 1}, but one is {labels.max()}")
