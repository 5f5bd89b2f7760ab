"""Where a run goes on if it is cut off: everything a step changes, after an epoch, by orbax."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import jax

from jaxconv._core.extras import needs

with needs("train"):
    import orbax.checkpoint as ocp

FOLDER = "checkpoints"
# A checkpoint takes as long as a short epoch, so one is written when so much time has gone by
# since the last, and at the end.
SECONDS = 10.0


class Checkpoints:
    """The last checkpoint of a run, in its output folder; no other is kept.

    orbax writes beside it, and renames what is whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self._last = time.monotonic()

    @property
    def epoch(self) -> int:
        """After which epoch it was written; 0 if there is none."""
        return (self._manager.latest_step() or 0) if self.folder.exists() else 0

    def save(self, epoch: int, tree: Any, *, now: bool = False) -> None:
        """Write one after this epoch, now or if it is time."""
        if epoch > self.epoch and (now or time.monotonic() - self._last >= SECONDS):
            with _without_warnings():
                self._manager.save(epoch, args=ocp.args.PyTreeSave(tree))
            self._last = time.monotonic()

    def restore(self, like: Any) -> Any:
        """The tree of the last one, of the shapes and dtypes of `like`, and where that is.

        Raises:
            ValueError: it cannot be read, or is of another tree.
        """
        path = self.folder / str(self.epoch)
        where = ocp.checkpoint_utils.construct_restore_args(like)
        args = ocp.args.PyTreeRestore(item=like, restore_args=where)
        try:
            there, wanted = _listing(self._manager.item_metadata(self.epoch).tree), _listing(like)
            for name in sorted(there.keys() | wanted.keys()):
                if there.get(name) != wanted.get(name):
                    raise ValueError(
                        f"{name} should be {wanted.get(name, 'nothing')}, but is"
                        f" {there.get(name, 'nothing')}"
                    )
            return self._manager.restore(self.epoch, args=args)
        except Exception as error:  # orbax and its libraries have many
            what, *_ = str(error).split(" See full ")  # how the file was opened, a page of it
            raise ValueError(f"{path} cannot be read: {what}") from error

    @cached_property
    def _manager(self) -> Any:
        options = ocp.CheckpointManagerOptions(
            max_to_keep=1, create=True, enable_async_checkpointing=False
        )
        # An array a file. All in one (OCDBT), orbax looks for its own files by a pattern that has
        # the folder in it, and does not find them where the folder is named like a pattern: [a].
        handler = ocp.PyTreeCheckpointHandler(use_ocdbt=False)
        return ocp.CheckpointManager(self.folder.absolute(), options=options, item_handlers=handler)


def _listing(tree: Any) -> dict[str, str]:
    """Each array's dtype and shape, by its place in the tree."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


@contextmanager
def _without_warnings() -> Iterator[None]:
    """orbax warns of files that are not all in one."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
