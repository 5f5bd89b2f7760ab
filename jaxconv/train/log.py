"""What a run says: on the screen, and in the log file of its folder."""

import shlex
import sys
from datetime import datetime
from pathlib import Path
from types import TracebackType

import jax

import jaxconv
from jaxconv._core.extras import needs

with needs("train"):
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

LOG = "log.txt"
"""The file that gets all that a run says, also when it is resumed."""

WIDTH = 120
"""The width of tables in the file."""


class Log:
    """A screen and a file that are told the same.

    Attributes:
        console: the screen.
    """

    def __init__(self, console: Console, path: Path) -> None:
        self.console = console
        self._file = path.open("a", encoding="utf-8")
        self._paper = Console(
            file=self._file, width=WIDTH, highlight=False, markup=False, emoji=False
        )

    def begin(self) -> None:
        """Write a line into the file that says when, and with which versions and arguments."""
        now = datetime.now().isoformat(" ", "seconds")
        versions = f"jaxconv {jaxconv.__version__}, JAX {jax.__version__}"
        self._write(f"---- {now}: {versions}: {shlex.join(sys.argv[1:])}\n")

    def say(self, what: object, *, on_screen: bool = True) -> None:
        """Print text, which is never broken into lines, or a table."""
        if on_screen:
            self.console.print(what, soft_wrap=isinstance(what, str))
        with self._paper.capture() as captured:
            self._paper.print(what, soft_wrap=isinstance(what, str))
        self._write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()

    def __enter__(self) -> "Log":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.say(f"{kind.__name__ if kind else ''}: {error}".rstrip(": "), on_screen=False)
        self._file.close()


def progress(console: Console) -> Progress:
    """Return a bar that shows how far the run is, and that is gone when it ends."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
