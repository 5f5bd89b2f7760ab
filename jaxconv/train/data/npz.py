"""Your own arrays, in one NumPy archive."""

import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxconv.train.data.archive import in_memory, on_disk
from jaxconv.train.data.arrays import Array, as_images, as_labels, numbered, scale_of
from jaxconv.train.data.dataset import Dataset, Part, together
from jaxconv.train.data.split import stratified
from jaxconv.train.data.stored import told

# The names that the arrays may have. If there are only two, a fifth of each class is held out.
NAMES = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("images", "labels"),
    ("x", "y"),
)


def of_file(path: Path, seed: int = 0, memory: float = math.inf) -> Dataset:
    """Read images and labels for training and testing, or all in one, with a fifth held out.

    Args:
        path: the file.
        seed: of the choice of the images that are held out.
        memory: how many bytes the images may have; with more they stay on the disk.

    Raises:
        ValueError: the file is missing or malformed, or has an array of Python objects, which can
            run code when it is read.
    """
    notes = list[str]()
    arrays = _arrays(path, memory, notes)
    pairs = list(zip(list(arrays)[::2], list(arrays)[1::2], strict=True))
    first = pairs[0][0]
    scale = scale_of(f"{path}: {first}", arrays[first], notes)

    def part(images: str, labels: str) -> Part:
        pictures = as_images(f"{path}: {images}", arrays[images], notes, scale)
        numbers = np.asarray(arrays[labels])
        return pictures, as_labels(f"{path}: {labels}", numbers, len(pictures), notes)

    parts, names = numbered(str(path), [part(*pair) for pair in pairs], notes)
    train, *test = parts
    made = together(str(path), train, test[0]) if test else stratified(str(path), *train, seed)
    return made._replace(names=names, notes=tuple(notes))


def _arrays(path: Path, memory: float, notes: list[str]) -> dict[str, Array]:
    """Return the arrays of the first set of NAMES that the file has, in the order of the set."""
    if not path.exists():
        raise ValueError(f"{path} does not exist")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not a .npz file")
    try:
        with np.load(path, allow_pickle=False) as file:
            for names in NAMES:
                if set(names) <= set(file.files):
                    return _read(path, file, names, memory, notes)
            listing = ", ".join(sorted(file.files)) or "nothing"
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    expected = "; or ".join(", ".join(names) for names in NAMES)
    raise ValueError(f"{path} should hold {expected}, but holds {listing}")


def _read(
    path: Path, file: Any, names: Sequence[str], memory: float, notes: list[str]
) -> dict[str, Array]:
    """Return the arrays with these names; images of more bytes than `memory` stay on the disk."""
    images = names[::2]
    size = sum(in_memory(file.zip, name) for name in images)
    if size <= memory:
        return {name: _array(file, name) for name in names}
    notes.append(f"{path}: {told(size)}")
    return {
        name: on_disk(path, file.zip, name) if name in images else _array(file, name)
        for name in names
    }


def _array(file: Any, name: str) -> np.ndarray:
    array = file[name]
    if not isinstance(array, np.ndarray):  # numpy returns the bytes of what is not an array
        raise ValueError(f"{name} is not an array")
    return array
