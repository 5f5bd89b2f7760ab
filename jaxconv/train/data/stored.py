"""Images that stay on the disk; each is read when it is indexed."""

import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

import numpy as np

from jaxconv._core.extras import needs
from jaxconv.train.data.blocks import Images
from jaxconv.train.data.memory import GIGABYTE

Change = Callable[[np.ndarray], np.ndarray]


class Stored:
    """An array in a file: `stored[indices]` and `stored[start:stop]` read only these rows.

    Several threads may read at once.

    Attributes:
        shape: the shape of the whole array, as it is returned.
        dtype: the dtype of what is returned.
    """

    def __init__(
        self, file: IO[bytes], offset: int, shape: tuple[int, ...], dtype: np.dtype
    ) -> None:
        """Args: an open file, where in it the array begins, and the array's shape and dtype."""
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._file, self._offset = _Open(file), offset
        self._row, self._row_dtype = shape[1:], self.dtype
        self._order: np.ndarray | None = None
        self._changes: tuple[Change, ...] = ()

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        if isinstance(index, int | np.integer):
            return self[np.array([index % len(self)])][0]
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        rows = self._read(index if self._order is None else self._order[index])
        for change in self._changes:
            rows = change(rows)
        return rows

    def chosen(self, order: np.ndarray) -> "Stored":
        """Return the array with these rows, in this order; nothing is read."""
        other = self._copy()
        other._order = order if self._order is None else self._order[order]
        other.shape = (len(order), *self.shape[1:])
        return other

    def then(self, change: Change) -> "Stored":
        """Return the array as `change` turns it into another, whenever rows are read."""
        other = self._copy()
        example = change(np.zeros((1, *self.shape[1:]), self.dtype))
        other.shape, other.dtype = (len(self), *example.shape[1:]), example.dtype
        other._changes = (*self._changes, change)
        return other

    def _copy(self) -> "Stored":
        other = Stored.__new__(Stored)
        other.__dict__.update(self.__dict__)
        return other

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        """Return the rows with these numbers; neighbours are read at once."""
        rows = np.empty((len(numbers), *self._row), self._row_dtype)
        size = self._row_dtype.itemsize * int(np.prod(self._row))
        runs = np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(numbers) != 1) + 1)
        for run in runs if len(numbers) else ():
            begin = self._offset + int(numbers[run[0]]) * size
            rows[run[0] : run[-1] + 1] = np.frombuffer(
                self._file.read(len(run) * size, begin), self._row_dtype
            ).reshape(-1, *self._row)
        return rows


class _Open:
    """A file that is closed when no array needs it any more."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self._lock = file, threading.Lock()
        weakref.finalize(self, file.close)

    def read(self, count: int, begin: int) -> bytes:
        """Return this many bytes from a place on."""
        if hasattr(os, "pread"):
            content = os.pread(self.file.fileno(), count, begin)
        else:  # Windows
            with self._lock:
                self.file.seek(begin)
                content = self.file.read(count)
        if len(content) < count:
            raise ValueError(f"{self.file.name} has become shorter while it was read")
        return content


def chosen(images: Images, order: np.ndarray) -> Images:
    """Return the images with these numbers: a copy of those in memory, a view of those on disk."""
    return images.chosen(order) if isinstance(images, Stored) else images[order]


def spilled(parts: Iterable[bytes | np.ndarray]) -> IO[bytes]:
    """Write the parts one after the other into a file without a name.

    The system removes it when the process ends. It lies in the user's cache, because the folder for
    temporary files can be in memory.

    Raises:
        ValueError: there is no room for them.
    """
    with needs("train"):
        import pooch
    folder = Path(pooch.os_cache("jaxconv"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 – open as long as the array lives
        for part in parts:
            file.write(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else part)
        file.flush()
    except OSError as error:
        raise ValueError(f"{folder} has no room for the images: {error.strerror}") from None
    return file


def told(size: int) -> str:
    """Say of images of this many bytes that they stay on the disk."""
    return f"{size / GIGABYTE:.3g} GB of images are read from the disk (--memory)"
