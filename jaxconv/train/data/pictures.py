"""Your own folders of pictures."""

from pathlib import Path

import numpy as np

from jaxconv._core.extras import needs
from jaxconv.train.data.dataset import Dataset, Part, as_images, held_out, together

with needs("train"):
    from PIL import Image

TESTS = ("test", "val")  # the first one that exists is used
GREY = ("1", "L", "LA")
COLOURED = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def of_folder(folder: Path) -> Dataset:
    """Read pictures from a folder for each class, in `train` and in `test` or `val`.

    Without `train`, the folders of the classes are in `folder` itself, and a fifth of the pictures
    is held out. Classes are numbered in the order of their names. Pictures have one size, and one
    channel only if all are grey.

    Raises:
        ValueError: there are no such folders, or a file in them is malformed.
    """
    if not (folder / "train").is_dir():
        return held_out(str(folder), *_arrays(folder, _read(folder, _classes(folder))))
    tests = [folder / name for name in TESTS if (folder / name).is_dir()]
    if not tests:
        raise ValueError(f"{folder} has a folder train, but no folder {' or '.join(TESTS)}")
    classes = _classes(folder / "train")
    train, test = (_read(part, classes) for part in (folder / "train", tests[0]))
    images, labels = _arrays(folder, train + test)
    apart = len(train)
    return together(str(folder), (images[:apart], labels[:apart]), (images[apart:], labels[apart:]))


Labelled = list[tuple[Path, int, np.ndarray]]


def _classes(folder: Path) -> list[str]:
    classes = [path.name for path in _visible(folder) if path.is_dir()]
    if len(classes) < 2:
        raise ValueError(
            f"{folder} should have a folder for each class, but has {', '.join(classes) or 'none'}"
        )
    return classes


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _read(folder: Path, classes: list[str]) -> Labelled:
    """Return all pictures with their class numbers, as bytes: (H, W) if grey, or (H, W, 3)."""
    for path in _visible(folder):
        if path.is_dir() and path.name not in classes:
            raise ValueError(f"{path} is no class of the training data: {', '.join(classes)}")
    read = [
        (path, label, _picture(path))
        for label, name in enumerate(classes)
        if (folder / name).is_dir()
        for path in _visible(folder / name)
    ]
    if not read:
        raise ValueError(f"{folder} holds no pictures")
    return read


def _picture(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            if image.mode not in GREY + COLOURED:
                raise ValueError(f"{path} has colour mode {image.mode}, not 8 bits per colour")
            return np.asarray(image.convert("L" if image.mode in GREY else "RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is no picture that can be read: {error}") from None


def _arrays(folder: Path, pictures: Labelled) -> Part:
    """Return the images and labels of all pictures, which must have one size."""
    first, _, picture = pictures[0]
    size = picture.shape[:2]
    for path, _, picture in pictures:
        if picture.shape[:2] != size:
            raise ValueError(
                f"{path} is {_times(picture)}, but {first} is {_times(pictures[0][2])}"
            )
    if any(picture.ndim == 3 for *_, picture in pictures):
        pictures = [
            (path, label, np.broadcast_to(picture.reshape(*size, -1), (*size, 3)))
            for path, label, picture in pictures
        ]
    images = as_images(str(folder), np.stack([picture for *_, picture in pictures]))
    return images, np.array([label for _, label, _ in pictures], np.int32)


def _times(picture: np.ndarray) -> str:
    return " × ".join(map(str, picture.shape[:2]))
