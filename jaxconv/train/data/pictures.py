"""Your own folders of pictures."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from jaxconv.train.data.dataset import Dataset, Part, together
from jaxconv.train.data.folder import tree_of
from jaxconv.train.data.picture import NoPictureError, read, size_of, with_channels
from jaxconv.train.data.split import stratified

KEPT = 128
"""Without `--image-size`, pictures that all have one size, of at most this height and width, are
not scaled."""

SIDE = 64
"""Without `--image-size`, all other pictures get this height and width."""

MOST_NAMED = 10
"""As many bad files are named in a message."""

Size = tuple[int, int]
T = TypeVar("T")


def of_folder(
    folder: Path, *, side: int | None = None, skip_bad: bool = False, seed: int = 0
) -> Dataset:
    """Read pictures from a folder for each class, in `train` and in `val` or `test`.

    Without `train`, the folders of the classes are in `folder` itself. Without `val` and `test`, a
    fifth of each class is held out. With both, `val` is held out, and `test` is for the end.
    Classes are numbered in the order of their names. If all pictures are grey, they have one
    channel.

    Args:
        folder: the folder, as `tree_of` takes it.
        side: the height and width that all pictures get. Without it, pictures of one size keep it
            up to KEPT, and others get SIDE.
        skip_bad: whether to leave out pictures that cannot be read.
        seed: of the choice of the pictures that are held out.

    Raises:
        ValueError: there are no such folders, or files cannot be read; the message names them.
    """
    tree = tree_of(folder)
    names = tuple(next(iter(tree.parts.values())))
    files = {
        part: [(path, names.index(name)) for name in classes for path in classes[name]]
        for part, classes in tree.parts.items()
    }
    everything = [path for of_part in files.values() for path, _ in of_part]
    bad: dict[Path, str] = {}
    size, notes = ((side, side), ()) if side else _size(everything, bad)
    good = [path for path in everything if path not in bad]
    pictures = dict(
        zip(good, _each(partial(_or_none, partial(read, size=size), bad), good), strict=True)
    )
    if bad and not skip_bad:
        raise ValueError(_complaint(bad))
    if bad:
        notes = (*notes, f"left out {len(bad)} pictures that cannot be read")
    channels = 1 if all(p is None or p.ndim == 2 for p in pictures.values()) else 3
    for part, classes in tree.parts.items():
        for name, paths in classes.items():
            if all(path in bad for path in paths):
                what = name if part == "all" else f"{part}/{name}"
                raise ValueError(f"{tree.root}: no picture of {what} can be read")
    parts = {part: _part(of_part, pictures, channels) for part, of_part in files.items()}
    made = _joined(str(tree.root), parts, seed)
    return made._replace(
        classes=len(names), names=names, notes=(*tree.notes, *notes), last=parts.get("last")
    )


def _joined(where: str, parts: dict[str, Part], seed: int) -> Dataset:
    """Return the data set of these parts; "last" gets the test that is for the end."""
    if "all" in parts:
        return stratified(where, *parts["all"], seed)
    if "val" in parts and "test" in parts:
        parts["last"] = parts.pop("test")
    held_out = parts.get("val") or parts.get("test")
    if held_out is None:
        return stratified(where, *parts["train"], seed)
    return together(where, parts["train"], held_out)


def _size(paths: Sequence[Path], bad: dict[Path, str]) -> tuple[Size | None, tuple[str, ...]]:
    """Return the size that all pictures get, None if they keep theirs, and what to say of it."""
    sizes = {size for size in _each(partial(_or_none, size_of, bad), paths) if size}
    if not sizes or (len(sizes) == 1 and max(next(iter(sizes))) <= KEPT):
        return None, ()
    small, large = (" × ".join(map(str, which(sizes))) for which in (min, max))
    seen = f"are {small}" if len(sizes) == 1 else f"have {len(sizes)} sizes, {small} to {large}"
    note = f"pictures {seen}; all are scaled and cut to {SIDE} × {SIDE} (--image-size)"
    return (SIDE, SIDE), (note,)


def _each(function: Callable[[Path], T], paths: Sequence[Path]) -> list[T]:
    """Return function(path) for each path, on all processor cores."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(function, paths))


def _or_none(function: Callable[[Path], T], bad: dict[Path, str], path: Path) -> T | None:
    """Return function(path); of a bad picture, None, and put into `bad` what is wrong with it."""
    try:
        return function(path)
    except NoPictureError as error:
        bad[path] = str(error)
        return None


def _complaint(bad: dict[Path, str]) -> str:
    named = [f"{path} {why}" for path, why in sorted(bad.items())]
    if len(named) == 1:
        return f"{named[0]}; --skip-bad goes on without it"
    more = [f"and {len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
    listing = "; ".join(named[:MOST_NAMED] + more)
    return f"{len(named)} pictures cannot be read (--skip-bad goes on without them): {listing}"


def _part(
    files: Sequence[tuple[Path, int]], pictures: dict[Path, np.ndarray | None], channels: int
) -> Part:
    """Return the images (N, H, W, channels) and labels of the files that could be read."""
    good = [(picture, n) for path, n in files if (picture := pictures.get(path)) is not None]
    images = np.stack([with_channels(picture, channels) for picture, _ in good])
    return images, np.array([label for _, label in good], np.int32)
