"""Progress and tables: drawn with rich on a terminal if it is installed, otherwise plain text."""

import sys
from collections.abc import Sequence
from typing import Any

from jaxconv.check.report import Failure, Report


def _rich() -> Any:
    """Return the package rich if it is installed and the output is a terminal, otherwise None."""
    if not sys.stdout.isatty():
        return None
    try:
        import rich.console
        import rich.markup
        import rich.progress
        import rich.table
    except ImportError:
        return None
    return rich


class Progress:
    """A progress bar below the printed lines."""

    def __init__(self, total: int):
        rich = _rich()
        self._bar = None
        if rich is not None:
            console = rich.console.Console()  # made here to take the terminal's present width
            self._bar = rich.progress.Progress(transient=True, console=console)
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, line: str) -> None:
        """Print the line of a finished job and advance the bar."""
        if self._bar is None:
            print(line, flush=True)
            return
        self._bar.console.print(line, markup=False, highlight=False)
        self._bar.advance(self._task)

    def tell(self, report: Report, plain: str) -> None:
        """Print one more report: `plain`, or a table of the failures on a terminal with rich."""
        if self._bar is None or report.ok:
            self.step(plain)
            return
        self._bar.console.print(_table_of(report))
        self.step("\n".join(f"  {line}" for line in [*_diagnoses(report), *report.remarks]))


_COLUMNS = (
    "gradient", "oracle", "worst at", "got", "expected", "error", "relative", "off", "where",
)  # fmt: skip


def _table_of(report: Report) -> Any:
    """Return a table of failures: the worst element of each, how many are off, and where."""
    rich = _rich()
    table = rich.table.Table(title=report.head, title_justify="left", title_style="bold red")
    for number, name in enumerate(_COLUMNS):
        table.add_column(name, justify="right" if 2 < number < 8 else "left")
    for failure in report.failures:
        table.add_row(*map(rich.markup.escape, _row(failure)))
    return table


def _row(failure: Failure) -> list[str]:
    under = f", {failure.transform}" if failure.transform else ""
    first = [failure.argument or "value", f"{failure.oracle}, {failure.dtype}{under}"]
    if failure.index is None:
        # No single element is wrong: show the message, without its "[oracle, dtype] " prefix.
        return [*first, *[""] * 6, failure.message.partition("] ")[2]]
    return [
        *first,
        str(list(failure.index)),
        f"{failure.got:.6g}",
        f"{failure.expected:.6g}",
        f"{failure.error:.2g}",
        f"{failure.relative:.2g}",
        f"{failure.off:,} of {failure.size:,}",
        failure.where,
    ]


def _diagnoses(report: Report) -> list[str]:
    return [f"{f.argument}: {f.diagnosis}" for f in report.failures if f.diagnosis is not None]


def show_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: the first column holds text, the others numbers or short words."""
    cells = [[str(cell) for cell in row] for row in rows]
    rich = _rich()
    if rich is not None:
        table = rich.table.Table(title=title, title_justify="left")
        for number, name in enumerate(header):
            table.add_column(name, justify="right" if number else "left")
        for row in cells:
            table.add_row(*map(rich.markup.escape, row))
        rich.console.Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    print(f"\n{title}")
    for row in (list(header), *cells):
        first, *rest = (cell for cell in row)
        padded = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *padded]).rstrip())
