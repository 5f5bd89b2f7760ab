"""CIFAR-10 in its binary version, which needs no unpickling.

Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
"""

import tarfile
import zlib
from pathlib import Path

import numpy as np

from jaxconv.train.data.arrays import as_images, check_labels
from jaxconv.train.data.dataset import Dataset, Part, together

ARCHIVE = "cifar-10-binary.tar.gz"
INSIDE = "cifar-10-batches-bin"
TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = ("test_batch.bin",)
NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""The classes, in the order of the labels."""
SHAPE = (3, 32, 32)


def of_folder(folder: Path) -> Dataset:
    """Read the six files in the folder or in its `cifar-10-batches-bin`, or the archive of them.

    Raises:
        ValueError: a file is missing or malformed.
    """
    if not (folder / TRAIN[0]).exists():
        if (folder / INSIDE).is_dir():
            folder = folder / INSIDE
        elif (folder / ARCHIVE).exists():
            folder = folder / ARCHIVE
    contents = _read_archive(folder) if folder.name == ARCHIVE else _read_files(folder)
    train, test = (_part(folder, contents, names) for names in (TRAIN, TEST))
    return together(str(folder), train, test, len(NAMES))._replace(names=NAMES)


def _part(folder: Path, contents: dict[str, bytes], names: tuple[str, ...]) -> Part:
    read = [_records(folder / name, contents[name]) for name in names]
    images, labels = zip(*read, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _read_files(folder: Path) -> dict[str, bytes]:
    contents = {}
    for name in (*TRAIN, *TEST):
        try:
            contents[name] = (folder / name).read_bytes()
        except FileNotFoundError:
            raise ValueError(f"{folder / name} does not exist, nor does {ARCHIVE}") from None
        except OSError as error:
            raise ValueError(f"{folder / name} cannot be read: {error.strerror}") from None
    return contents


def _read_archive(path: Path) -> dict[str, bytes]:
    """Read the six files from the archive; nothing is unpacked onto the disk."""
    contents = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.removeprefix(f"{INSIDE}/")
                file = archive.extractfile(member) if name in (*TRAIN, *TEST) else None
                if file is not None:
                    contents[name] = file.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ValueError(f"{path} is not a complete archive: {error}") from None
    for name in (*TRAIN, *TEST):
        if name not in contents:
            raise ValueError(f"{path} has no {INSIDE}/{name}")
    return contents


def _records(path: Path, content: bytes) -> Part:
    """Read records: a byte for the label, then all red, all green and all blue bytes."""
    size = 1 + int(np.prod(SHAPE))
    if not content or len(content) % size:
        raise ValueError(f"{path} should hold records of {size} bytes, but holds {len(content)}")
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    labels = records[:, 0].astype(np.int32)
    check_labels(str(path), labels, len(NAMES))
    images = records[:, 1:].reshape(-1, *SHAPE).transpose(0, 2, 3, 1)
    return as_images(str(path), images, []), labels
