"""Images and labels."""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxconv.extras import needs
from jaxconv.train.config import Config

CLASSES = 10


class Dataset(NamedTuple):
    """Images (N, H, W, C) in [0, 1] as float32, labels (N,) in [0, classes) as int32."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int


def load(config: Config) -> Dataset:
    """The data set that the configuration names.

    Raises:
        ValueError: a file is missing or not what it should be.
    """
    if config.dataset == "digits" or config.data_dir is None:
        return _digits()
    return _idx_files(config.data_dir)


def _digits() -> Dataset:
    """scikit-learn's handwritten digits, in a fixed shuffle of which a fifth is held out."""
    with needs("train"):
        from sklearn.datasets import load_digits
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[..., None]
    labels = digits.target.astype(np.int32)
    order = np.random.default_rng(0).permutation(len(images))  # the same whatever the seed
    test, train = np.split(order, [len(order) // 5])
    return Dataset(images[train], labels[train], images[test], labels[test], classes=CLASSES)


def _idx_files(folder: Path) -> Dataset:
    """The four gzipped files that MNIST and Fashion-MNIST are published as."""
    train, test = (_idx_pair(folder, part) for part in ("train", "t10k"))
    if train[0].shape[1:] != test[0].shape[1:]:
        sizes = (" × ".join(map(str, images.shape[1:3])) for images, _ in (train, test))
        raise ValueError(f"{folder}: {' and '.join(sizes)} are the sizes of train and t10k images")
    return Dataset(*train, *test, classes=CLASSES)


def _idx_pair(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one part."""
    image_file = folder / f"{part}-images-idx3-ubyte.gz"
    label_file = folder / f"{part}-labels-idx1-ubyte.gz"
    images, labels = read_idx(image_file), read_idx(label_file)
    if images.ndim != 3 or 0 in images.shape:
        raise ValueError(f"{image_file} should hold images (N, H, W), but holds {images.shape}")
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"{label_file} should hold {len(images)} labels, one per image,"
            f" but holds {labels.shape}"
        )
    if labels.max() >= CLASSES:
        raise ValueError(f"{label_file}: labels are 0 to {CLASSES - 1}, but one is {labels.max()}")
    return (images / np.float32(255))[..., None], labels.astype(np.int32)


def read_idx(path: Path) -> np.ndarray:
    """Bytes from a gzipped IDX file: 0, 0, 8, the rank, that many sizes, then the bytes.

    Raises:
        ValueError: there is no such file, or it is something else.
    """
    try:
        with gzip.open(path) as file:
            content = file.read()
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is no whole gzip file: {error}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    rank = content[3] if len(content) > 3 else 0
    header = 4 + 4 * rank
    if content[:3] != b"\0\0\x08" or rank == 0 or len(content) < header:
        raise ValueError(f"{path} is no IDX file of bytes")
    shape = struct.unpack(f">{rank}I", content[4:header])
    body = content[header:]
    if len(body) != math.prod(shape):
        raise ValueError(f"{path} should hold {shape} bytes, but holds {len(body)}")
    return np.frombuffer(body, np.uint8).reshape(shape)
