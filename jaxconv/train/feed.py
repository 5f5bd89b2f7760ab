"""The batches of an epoch: from images that are kept on the devices, or streamed to them."""

from collections.abc import Iterator
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv._core.extras import needs
from jaxconv.train import devices, processes
from jaxconv.train.batch import NO_IMAGE, Batch, filled_up, split
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
    """Return the feed that suits the images.

    They are streamed if they do not fit on a device, and by several processes, of which each reads
    its share of every batch.
    """
    if isinstance(images, Stored) or not _fit(images) or processes.are_several():
        return Streamed(config, images, labels)
    return Kept(config, images, labels)


def _fit(images: Images) -> bool:
    """Return whether the images fit on a device; a CPU has what the process has."""
    known = jax.local_devices()[0].memory_stats() or {}
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
    """Images are read batch by batch, by threads of grain if they are on the disk."""

    def __init__(self, config: Config, images: Images, labels: np.ndarray) -> None:
        self._config, self._images, self._labels = config, images, labels

    @property
    def example(self) -> Batch:
        """A batch, for whose shapes and dtypes a step is compiled."""
        return self._placed(self.read(np.full(self._config.batch_size, NO_IMAGE, np.int32)))

    def batches(self, order: np.ndarray, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of this order, without the first ones."""
        source = _Batches(self, list(split(order, self._config.batch_size)))
        ahead = isinstance(self._images, Stored)
        read = (
            _ahead(source, first) if ahead else map(source.__getitem__, range(first, len(source)))
        )
        return map(self._placed, read)

    def read(self, indices: np.ndarray) -> Batch:
        """Return this process's share of the images and labels at these indices."""
        share = processes.share(len(indices))
        own = filled_up(indices)[share]
        images = np.zeros((len(own), *self._images.shape[1:]), self._images.dtype)
        images[own != NO_IMAGE] = self._images[own[own != NO_IMAGE]]
        labels = np.where(indices[share] == NO_IMAGE, NO_IMAGE, self._labels[own])
        return Batch(images, labels.astype(np.int32))

    def _placed(self, batch: Batch) -> Batch:
        return Batch(*devices.shares(self._config, batch[:2]))


def _ahead(source: "_Batches", first: int) -> Iterator[Batch]:
    """Yield the batches from this one on, which threads of grain read ahead."""
    with needs("stream"):
        import grain
    reading = grain.ReadOptions(num_threads=READERS, prefetch_buffer_size=AHEAD)
    dataset: Any = grain.MapDataset.source(source)
    return iter(dataset[first:].to_iter_dataset(reading))


class _Batches:
    """The batches of an epoch by number, as grain asks for them."""

    def __init__(self, feed: Streamed, pieces: list[np.ndarray]) -> None:
        self._feed, self._pieces = feed, pieces

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, number: int) -> Batch:
        return self._feed.read(self._pieces[number])
