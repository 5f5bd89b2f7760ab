"""Progress and tables: with rich on a terminal that has it, plain text everywhere else."""

import sys
from collections.abc import Sequence
from typing import Any


def _rich() -> Any:
    """The package, if there is a terminal and the package; else None."""
    if not sys.stdout.isatty():
        return None
    try:
        import rich.progress
        import rich.table
    except ImportError:
        return None
    return rich


class Progress:
    """A bar under the lines that are printed."""

    def __init__(self, total: int):
        rich = _rich()
        self._bar = None
        if rich is not None:
            self._bar = rich.progress.Progress(transient=True)
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, line: str) -> None:
        """One more is done, and this is what is said of it."""
        if self._bar is None:
            print(line, flush=True)
            return
        self._bar.console.print(line, markup=False, highlight=False)
        self._bar.advance(self._task)


def show_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """The first column is text, the others are numbers or short words."""
    cells = [[str(cell) for cell in row] for row in rows]
    rich = _rich()
    if rich is not None:
        table = rich.table.Table(title=title, title_justify="left")
        for number, name in enumerate(header):
            table.add_column(name, justify="right" if number else "left")
        for row in cells:
            table.add_row(*map(rich.markup.escape, row))
        rich.print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    print(f"\n{title}")
    for row in (list(header), *cells):
        first, *rest = (cell for cell in row)
        padded = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *padded]).rstrip())
