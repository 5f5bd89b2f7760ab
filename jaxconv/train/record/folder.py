"""The folder itself: a new one for each run, and one process at a time in it."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from jaxconv.train.config import Config
from jaxconv.train.record.settings import CONFIG

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


def make_folder(config: Config) -> Path:
    """Make and return the run's output folder, which must be new or empty."""
    folder = config.out
    if folder is None:
        return _new_folder(config)
    if folder.exists() and (not folder.is_dir() or any(map(_is_kept, folder.iterdir()))):
        raise ValueError(f"--out {folder} already exists and is not an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _is_kept(path: Path) -> bool:
    """Return whether a file is more than what a killed process had begun to write first."""
    return not path.name.startswith(f".{CONFIG}.")


def _new_folder(config: Config) -> Path:
    """Make a folder in runs/ that no other run has, even if started in the same second."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = f"{config.title}-{config.model}-{config.gradients}-{stamp}"
    for suffix in itertools.chain([""], (f"-{i}" for i in itertools.count(2))):
        folder = Path("runs") / (name + suffix)
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to a run's output folder, until this one has ended.

    Raises:
        ValueError: another process writes to it.
    """
    if fcntl is None:  # there is no such lock on Windows
        yield
        return
    # The lock is the folder's own: no file is left behind, and it ends with the process.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems do not lock folders
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"{folder} is in use: another process trains there") from None
        yield
    finally:
        os.close(descriptor)
