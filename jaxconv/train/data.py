"""Images and labels."""

import gzip
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxconv.extras import needs
from jaxconv.train.config import Config


class Dataset(NamedTuple):
    """Images (N, H, W, C) in [0, 1] as float32, labels (N,) in [0, classes) as int32."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int


def load(config: Config) -> Dataset:
    """The data set that the configuration names."""
    if config.data_dir is None:
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
    return Dataset(images[train], labels[train], images[test], labels[test], classes=10)


def _idx_files(folder: Path) -> Dataset:
    """The four gzipped files that MNIST and Fashion-MNIST are published as."""
    parts = []
    for part in ("train", "t10k"):
        images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")
        labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz")
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"{folder}: expected images (N, H, W) and labels (N,) in the {part} files,"
                f" but found {images.shape} and {labels.shape}"
            )
        parts.append(((images / np.float32(255))[..., None], labels.astype(np.int32)))
    train, test = parts
    return Dataset(*train, *test, classes=10)


def read_idx(path: Path) -> np.ndarray:
    """Bytes from a gzipped IDX file: 0, 0, 8, the rank, that many sizes, then the bytes."""
    try:
        with gzip.open(path) as file:
            content = file.read()
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except (gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"{path} is no whole gzip file: {error}") from None
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is no IDX file of bytes")
    rank = content[3]
    header = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", content[4:header].ljust(4 * rank, b"\0"))
    body = np.frombuffer(content, np.uint8, offset=min(header, len(content)))
    if body.size != int(np.prod(shape)):
        raise ValueError(f"{path} should hold {shape} bytes, but holds {body.size}")
    return body.reshape(shape)
