"""Your own arrays, in one NumPy archive."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from jaxconv.train.data.dataset import Dataset, Part, as_images, as_labels, held_out, together

# The names that the arrays may have. If there are only two, a fifth of the images is held out.
NAMES = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("images", "labels"),
    ("x", "y"),
)


def of_file(path: Path) -> Dataset:
    """Read images and labels for training and testing, or all in one, with a fifth held out.

    Raises:
        ValueError: the file is missing or malformed, or has an array of Python objects, which can
            run code when it is read.
    """
    arrays = _arrays(path)

    def part(images: str, labels: str) -> Part:
        pictures = as_images(f"{path}: {images}", arrays[images])
        return pictures, as_labels(f"{path}: {labels}", arrays[labels], len(pictures))

    train, *test = (part(*pair) for pair in zip(list(arrays)[::2], list(arrays)[1::2], strict=True))
    return together(str(path), train, test[0]) if test else held_out(str(path), *train)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the first set of NAMES that the file has, in the order of the set."""
    if not path.exists():
        raise ValueError(f"{path} does not exist")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no .npz file")
    try:
        with np.load(path, allow_pickle=False) as file:
            for names in NAMES:
                if set(names) <= set(file.files):
                    return {name: file[name] for name in names}
            listing = ", ".join(sorted(file.files)) or "nothing"
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    expected = "; or ".join(", ".join(names) for names in NAMES)
    raise ValueError(f"{path} should hold {expected}, but holds {listing}")
