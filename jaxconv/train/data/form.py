"""The height, width and channels that all pictures of a folder get."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from jaxconv.train.data.gathered import each
from jaxconv.train.data.picture import NoPictureError, head_of

KEPT = 128
"""Without `--image-size`, pictures that all have one size, of at most this height and width, are
not scaled."""

SIDE = 64
"""Without `--image-size`, all other pictures get this height and width."""

T = TypeVar("T")
Bad = dict[Path, str]
"""What is wrong with files that are no pictures."""


class Form(NamedTuple):
    """The height, width and channels of all pictures, and whether they are scaled and cut to it."""

    height: int
    width: int
    channels: int
    is_cut: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a picture."""
        return self.height, self.width, self.channels


def form_of(paths: Sequence[Path], side: int | None, bad: Bad, notes: list[str]) -> Form:
    """Return the form that all pictures get; only the heads of the files are read.

    Args:
        paths: the files.
        side: the height and width of `--image-size`; None without it.
        bad: gets the files that are no pictures.
        notes: gets what a person should know of the sizes.
    """
    heads = [head for head in each(partial(or_none, head_of, bad), paths) if head]
    channels = 1 if all(head.grey for head in heads) else 3
    if side:
        return Form(side, side, channels, True)
    sizes = {head.size for head in heads}
    if len(sizes) == 1 and max(size := next(iter(sizes))) <= KEPT:
        return Form(*size, channels, False)
    if sizes:
        small, large = (" × ".join(map(str, which(sizes))) for which in (min, max))
        seen = f"are {small}" if len(sizes) == 1 else f"have {len(sizes)} sizes, {small} to {large}"
        notes.append(f"pictures {seen}; all are scaled and cut to {SIDE} × {SIDE} (--image-size)")
    return Form(SIDE, SIDE, channels, True)


def or_none(function: Callable[[Path], T], bad: Bad, path: Path) -> T | None:
    """Return function(path); of a bad picture, None, and put into `bad` what is wrong with it."""
    try:
        return function(path)
    except NoPictureError as error:
        bad[path] = str(error)
        return None
