"""The checkpoint from which an interrupted run continues: all that a step changes, by orbax."""

import io
import logging
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import jax

from jaxconv._core.extras import needs

with needs("train"):
    import orbax.checkpoint as ocp

T = TypeVar("T")

FOLDER = "checkpoints"
SECONDS = 10.0
"""A checkpoint takes as long as a short epoch, so one is written only if this much time has passed
since the last one, and at the end."""


class Checkpoints:
    """The last checkpoint of a run, in its output folder; no other is kept.

    orbax writes the next one beside it, and renames it when it is complete.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self._last = time.monotonic()

    @property
    def step(self) -> int:
        """The step after which it was written; 0 if there is none."""
        return (self._manager.latest_step() or 0) if self.folder.exists() else 0

    @property
    def is_due(self) -> bool:
        """Whether the last one is old enough for another."""
        return time.monotonic() - self._last >= SECONDS

    def save(self, step: int, tree: object) -> None:
        """Write a checkpoint after this step, unless there is one.

        Raises:
            ValueError: it cannot be written.
        """
        if step <= self.step:
            return
        try:
            with _quiet():
                self._manager.save(step, args=ocp.args.PyTreeSave(tree))
        except Exception as error:  # orbax and its libraries raise many kinds
            what, *_ = str(error).split(": Failed writing: ")  # then the same again
            raise ValueError(f"{self.folder} cannot be written: {what}") from error
        self._last = time.monotonic()

    def restore(self, like: T) -> T:
        """Return the tree of the last checkpoint, with the shapes, dtypes and devices of `like`.

        Raises:
            ValueError: the checkpoint cannot be read, or has another tree.
        """
        path = self.folder / str(self.step)
        where = ocp.checkpoint_utils.construct_restore_args(like)
        args = ocp.args.PyTreeRestore(item=like, restore_args=where)
        try:
            there, wanted = _listing(self._manager.item_metadata(self.step).tree), _listing(like)
            for name in sorted(there.keys() | wanted.keys()):
                if there.get(name) != wanted.get(name):
                    raise ValueError(
                        f"{name} should be {wanted.get(name, 'nothing')}, but is"
                        f" {there.get(name, 'nothing')}"
                    )
            with _quiet():
                return self._manager.restore(self.step, args=args)
        except Exception as error:  # orbax and its libraries raise many kinds
            what, *_ = str(error).split(" See full ")  # then a page on how it was opened
            raise ValueError(f"{path} cannot be read: {what}") from error

    @cached_property
    def _manager(self) -> Any:
        options = ocp.CheckpointManagerOptions(
            max_to_keep=1,
            create=True,
            enable_async_checkpointing=False,
            cleanup_tmp_directories=True,  # of a run that was killed while it wrote one
        )
        # One file per array. With all arrays in one file (OCDBT), orbax looks for its files by a
        # pattern that contains the folder, and finds none if the folder looks like a pattern: [a].
        handler = ocp.PyTreeCheckpointHandler(use_ocdbt=False)
        with _quiet():
            return ocp.CheckpointManager(
                self.folder.absolute(), options=options, item_handlers=handler
            )


def _listing(tree: object) -> dict[str, str]:
    """Return each array's dtype and shape, by its place in the tree."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence orbax, which warns if there is one file per array, or half of an older checkpoint.

    If a file cannot be read or written, its threads print pages, and it raises an error, too.
    """
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with redirect_stderr(io.StringIO()):
            try:
                yield
            except Exception:
                _ignore_unfinished()
                raise
    finally:
        logger.setLevel(level)


def _ignore_unfinished() -> None:
    """Let reads and writes that were under way when one failed end without a word.

    orbax closes their event loop. asyncio then logs their errors, Python warns of those that had
    not begun, and a thread of tensorstore that ends one finds the loop closed, which Python prints.
    """
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    say = sys.unraisablehook

    def say_others(what: "sys.UnraisableHookArgs") -> None:
        if str(what.exc_value) != "Event loop is closed":
            say(what)

    sys.unraisablehook = say_others
