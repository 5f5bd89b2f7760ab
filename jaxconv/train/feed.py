"""The batches of an epoch: from images that are kept on the devices, or streamed to them."""

from collections.abc import Iterator
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv._core.extras import needs
from jaxconv.train import devices
from jaxconv.train.batch import NO_IMAGE, Batch, split
from jaxconv.train.config import Config
from jaxconv.train.data.blocks import Images
from jaxconv.train.data.stored import Stored

READERS, AHEAD = 2, 4
"""As many threads read batches from the disk, and as many batches wait for the next step."""

HALF = 2
"""Images may take one part in this many of the memory of a device."""


class Feed(Protocol):
    """Images and labels, in batches."""

    @property
    def example(self) -> Batch:
        """A batch, for whose shapes and dtypes a step is compiled."""
        ...

    def batches(self, order: np.ndarray, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of this order, without the first ones."""
        ...


def feed_of(config: Config, images: Images, labels: np.ndarray) -> Feed:
    """Return the feed that suits the images: streamed if they do not fit on a device."""
    if isinstance(images, Stored) or not _fit(images):
        return Streamed(config, images, labels)
    return Kept(config, images, labels)


def _fit(images: Images) -> bool:
    """Return whether the images fit on a device; a CPU has what the process has."""
    known = jax.devices()[0].memory_stats() or {}
    size = images.dtype.itemsize * int(np.prod(images.shape))
    return size <= known.get("bytes_limit", np.inf) / HALF


class Kept:
    """All images are on every device, so that a batch is nothing but its indices."""

    def __init__(self, config: Config, images: Images, labels: np.ndarray) -> None:
        arrays = (jnp.asarray(np.asarray(images)), jnp.asarray(labels))
        self._images, self._labels = devices.on_all(config, arrays)
        self._size = config.batch_size

    @property
    def example(self) -> Batch:
        """A batch, for whose shapes and dtypes a step is compiled."""
        return Batch(self._images, self._labels, np.zeros(self._size, np.int32))

    def batches(self, order: np.ndarray, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of this order, without the first ones."""
        for indices in split(order[first * self._size :], self._size):
            yield Batch(self._images, self._labels, indices)


class Streamed:
    """Images are read batch by batch, by threads of grain, while the devices compute."""

    def __init__(self, config: Config, images: Images, labels: np.ndarray) -> None:
        with needs("stream"):
            import grain
        self._grain: Any = grain
        self._config, self._images, self._labels = config, images, labels

    @property
    def example(self) -> Batch:
        """A batch, for whose shapes and dtypes a step is compiled."""
        indices = np.full(self._config.batch_size, NO_IMAGE, np.int32)
        return self._placed(self.read(indices))

    def batches(self, order: np.ndarray, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of this order, without the first ones."""
        source = _Batches(self, list(split(order, self._config.batch_size)))
        reading = self._grain.ReadOptions(num_threads=READERS, prefetch_buffer_size=AHEAD)
        dataset = self._grain.MapDataset.source(source)[first:].to_iter_dataset(reading)
        return map(self._placed, dataset)

    def read(self, indices: np.ndarray) -> Batch:
        """Return these images and their labels, with their places in the batch as indices."""
        there = indices[indices != NO_IMAGE]
        shape = (len(indices), *self._images.shape[1:])
        images, labels = np.zeros(shape, self._images.dtype), np.zeros(len(indices), np.int32)
        images[: len(there)], labels[: len(there)] = self._images[there], self._labels[there]
        places = np.arange(len(indices), dtype=np.int32)
        return Batch(images, labels, np.where(indices == NO_IMAGE, indices, places))

    def _placed(self, batch: Batch) -> Batch:
        images, labels = devices.on_all(self._config, tuple(map(jnp.asarray, batch[:2])))
        return Batch(images, labels, batch.indices)


class _Batches:
    """The batches of an epoch by number, as grain asks for them."""

    def __init__(self, feed: Streamed, pieces: list[np.ndarray]) -> None:
        self._feed, self._pieces = feed, pieces

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, number: int) -> Batch:
        return self._feed.read(self._pieces[number])
