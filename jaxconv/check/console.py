"""Progress and tables: with rich on a terminal that has it, plain text everywhere else."""

import sys
from collections.abc import Sequence
from typing import Any

from jaxconv.check.report import Failure, Report


def _rich() -> Any:
    """The package, if there is a terminal and the package; else None."""
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
    """A bar under the lines that are printed."""

    def __init__(self, total: int):
        rich = _rich()
        self._bar = None
        if rich is not None:
            console = rich.console.Console()  # as wide as the terminal is now
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
        """One more is done, and this is what is said of it."""
        if self._bar is None:
            print(line, flush=True)
            return
        self._bar.console.print(line, markup=False, highlight=False)
        self._bar.advance(self._task)

    def tell(self, report: Report, plain: str) -> None:
        """One report more; on a terminal what failed is a table, elsewhere `plain` says it."""
        if self._bar is None or report.ok:
            self.step(plain)
            return
        self._bar.console.print(_table_of(report))
        self.step("\n".join(f"  {line}" for line in [*_diagnoses(report), *report.remarks]))


_COLUMNS = (
    "gradient", "oracle", "worst at", "got", "expected", "error", "relative", "off", "where",
)  # fmt: skip


def _table_of(report: Report) -> Any:
    """The worst element of every gradient that failed, how many others did, and where they sit."""
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
        # No one element is to blame: said in words, without what stands before it.
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
    """The first column is text, the others are numbers or short words."""
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
