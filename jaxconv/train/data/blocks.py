"""Passes over images that may be too many for the memory: block by block."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

BYTES = 2**24
"""As many bytes are in a block."""


class Images(Protocol):
    """Images (N, H, W, C), in memory or on the disk. To index them gives an array in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole array."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the array."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int | slice | np.ndarray, /) -> np.ndarray: ...


def blocks(images: Images) -> Iterator[np.ndarray]:
    """Yield the images in order, as many at a time as have about BYTES."""
    each = max(1, images.dtype.itemsize * int(np.prod(images.shape[1:])))
    step = max(1, BYTES // each)
    for start in range(0, len(images), step):
        yield images[start : start + step]


def extremes(images: Images) -> tuple[float, float]:
    """Return the smallest and the largest number in the images."""
    found = [(block.min(), block.max()) for block in blocks(images)]
    return float(min(low for low, _ in found)), float(max(high for _, high in found))
