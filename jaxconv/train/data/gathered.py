"""Many pictures in one array."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from jaxconv.train.data.blocks import Images
from jaxconv.train.data.stored import Stored, spilled

AT_ONCE = 256
"""As many pictures are in memory at once, beside those that stay there."""

T = TypeVar("T")


def gathered(
    read: Callable[[Path], np.ndarray | None],
    paths: Sequence[Path],
    shape: tuple[int, int, int],
    *,
    on_disk: bool,
) -> Images:
    """Return the pictures of this shape that `read` returns, without those that are None.

    With `on_disk` they are in a file that ends with the process.
    """
    if on_disk:
        file = spilled(_parts(read, paths, shape))
        return Stored(file, 0, (file.tell() // int(np.prod(shape)), *shape), np.dtype(np.uint8))
    images, count = np.empty((len(paths), *shape), np.uint8), 0
    for some in _parts(read, paths, shape):
        images[count : count + len(some)] = some
        count += len(some)
    return images[:count]


def each(function: Callable[[Path], T], paths: Sequence[Path]) -> list[T]:
    """Return function(path) for each path, on all processor cores."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(function, paths))


def _parts(
    read: Callable[[Path], np.ndarray | None], paths: Sequence[Path], shape: tuple[int, int, int]
) -> Iterator[np.ndarray]:
    """Yield AT_ONCE pictures or fewer in one array."""
    for start in range(0, len(paths), AT_ONCE):
        found = each(read, paths[start : start + AT_ONCE])
        good = [picture for picture in found if picture is not None]
        yield np.array(good, np.uint8).reshape(-1, *shape)
