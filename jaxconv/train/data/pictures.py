"""Your own folders of pictures."""

import math
from collections.abc import Mapping
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from jaxconv.train.data.dataset import Dataset, Part, together
from jaxconv.train.data.folder import Tree, tree_of
from jaxconv.train.data.form import Bad, Form, form_of, or_none
from jaxconv.train.data.gathered import gathered
from jaxconv.train.data.picture import read, with_channels
from jaxconv.train.data.split import stratified
from jaxconv.train.data.stored import told

MOST_NAMED = 10
"""As many bad files are named in a message."""


def of_folder(
    folder: Path,
    *,
    side: int | None = None,
    skip_bad: bool = False,
    seed: int = 0,
    memory: float = math.inf,
) -> Dataset:
    """Read pictures from a folder for each class, in `train` and in `val` or `test`.

    Without `train`, the folders of the classes are in `folder` itself. Without `val` and `test`, a
    fifth of each class is held out. With both, `val` is held out, and `test` is for the end.
    Classes are numbered in the order of their names. If all pictures are grey, they have one
    channel.

    Args:
        folder: the folder, as `tree_of` takes it.
        side: the height and width that all pictures get. Without it, pictures of one size keep it
            if it is small, and others are made small (form.py).
        skip_bad: whether to leave out pictures that cannot be read.
        seed: of the choice of the pictures that are held out.
        memory: how many bytes the pictures may have. More of them are written into a file that
            ends with the process.

    Raises:
        ValueError: there are no such folders, or files cannot be read; the message names them.
    """
    tree, bad, notes = tree_of(folder), Bad(), list[str]()
    paths = list(chain.from_iterable(chain(*(c.values() for c in tree.parts.values()))))
    form = form_of(paths, side, bad, notes)
    size = len(paths) * math.prod(form.shape)
    if size > memory:
        notes.append(told(size))
    names = tuple(next(iter(tree.parts.values())))
    parts = {
        part: _part(classes, names, form, bad, on_disk=size > memory)
        for part, classes in tree.parts.items()
    }
    if bad and not skip_bad:
        raise ValueError(_complaint(bad))
    if bad:
        notes.append(_left_out(bad))
    _check_classes(tree, bad)
    made = _joined(str(tree.root), parts, seed)
    return made._replace(
        classes=len(names), names=names, notes=(*tree.notes, *notes), last=parts.get("last")
    )


def _part(
    classes: Mapping[str, list[Path]], names: tuple[str, ...], form: Form, bad: Bad, on_disk: bool
) -> Part:
    """Return the images and labels of the files that can be read; put the others into `bad`."""
    files = [(path, names.index(name)) for name in classes for path in classes[name]]
    size = (form.height, form.width) if form.is_cut else None

    def picture(path: Path) -> np.ndarray | None:
        found = None if path in bad else or_none(partial(read, size=size), bad, path)
        return None if found is None else with_channels(found, form.channels)

    images = gathered(picture, [path for path, _ in files], form.shape, on_disk=on_disk)
    return images, np.array([label for path, label in files if path not in bad], np.int32)


def _check_classes(tree: Tree, bad: Bad) -> None:
    """Raise ValueError if no picture of a class can be read."""
    for part, classes in tree.parts.items():
        for name, paths in classes.items():
            if all(path in bad for path in paths):
                what = name if part == "all" else f"{part}/{name}"
                raise ValueError(f"{tree.root}: no picture of {what} can be read")


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


def _complaint(bad: Bad) -> str:
    if len(bad) == 1:
        return f"{_listed(bad)}; --skip-bad goes on without it"
    return f"{len(bad)} pictures cannot be read (--skip-bad goes on without them): {_listed(bad)}"


def _left_out(bad: Bad) -> str:
    what = "1 picture" if len(bad) == 1 else f"{len(bad)} pictures"
    return f"left out {what} that cannot be read: {_listed(bad)}"


def _listed(bad: Bad) -> str:
    named = [f"{path} {why}" for path, why in sorted(bad.items())]
    more = [f"and {len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
    return "; ".join(named[:MOST_NAMED] + more)
