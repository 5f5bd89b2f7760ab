"""IDX files: the format of MNIST, and of the data sets that were made to replace it."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from jaxconv.train.data.arrays import as_images, check_labels
from jaxconv.train.data.dataset import Dataset, Part, together

PARTS = ("train", "t10k")


def names(part: str) -> tuple[str, str]:
    """Return the names of a part's two files, of its images and of its labels."""
    return f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"


def of_folder(folder: Path, classes: int | None = None) -> Dataset:
    """Read the four gzipped files of a data set; if `classes` is not given, its labels say it.

    Raises:
        ValueError: a file is missing or malformed.
    """
    train, test = (_part(folder, part, classes) for part in PARTS)
    return together(str(folder), train, test, classes)


def _part(folder: Path, part: str, classes: int | None) -> Part:
    """Return the images and labels of one part."""
    image_file, label_file = (folder / name for name in names(part))
    images, labels = read_idx(image_file), read_idx(label_file)
    if images.ndim != 3 or 0 in images.shape:
        raise ValueError(f"{image_file} should hold images (N, H, W), but holds {images.shape}")
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"{label_file} should hold {len(images)} labels, one per image,"
            f" but holds {labels.shape}"
        )
    if classes is not None:
        check_labels(str(label_file), labels, classes)
    return as_images(str(image_file), images, []), labels.astype(np.int32)


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file of bytes: 0, 0, 8, the rank, that many sizes, then the elements.

    Raises:
        ValueError: the file is missing, or has another format.
    """
    try:
        with gzip.open(path) as file:
            content = file.read()
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a complete gzip file: {error}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    rank = content[3] if len(content) > 3 else 0
    header = 4 + 4 * rank
    if content[:3] != b"\0\0\x08" or rank == 0 or len(content) < header:
        raise ValueError(f"{path} is not an IDX file of bytes")
    shape = struct.unpack(f">{rank}I", content[4:header])
    body = content[header:]
    if len(body) != math.prod(shape):
        raise ValueError(f"{path} should hold {shape} bytes, but holds {len(body)}")
    return np.frombuffer(body, np.uint8).reshape(shape)
