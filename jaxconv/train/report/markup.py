"""Text and tables as HTML, and the style of the page."""

import html
from collections.abc import Iterable

from jaxconv.train.pictures.names import shortened

STYLE = """
:root { color-scheme: light dark; --line: #ccc; --soft: #777; --bar: 68,119,170; }
@media (prefers-color-scheme: dark) { :root { --line: #444; --soft: #aaa; --bar: 120,170,220; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .6rem; text-align: right; }
th { color: var(--soft); font-weight: normal; } td:first-child, th:first-child { text-align: left; }
.wide { overflow-x: auto; } .tall { max-height: 30rem; overflow: auto; margin-bottom: 1rem; }
.curves svg, .plot { max-width: 100%; height: auto; } .plot { min-width: 44rem; }
.plot { box-sizing: border-box; background: #fff; padding: .5rem; border-radius: .5rem; }
@media (prefers-color-scheme: dark) { .plot { filter: brightness(.75); } }
figure { display: inline-block; margin: .3rem; text-align: center; font-size: .8rem; }
figure img { image-rendering: pixelated; display: block; margin: 0 auto .2rem; }
figcaption { max-width: 8rem; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
pre { padding: .6rem; border: 1px solid var(--line); }
.right { outline: 1px solid var(--line); }
""".strip()
MOST_IN_HEADER, MOST_IN_CELL = 22, 48
"""Longer names are shortened in tables, and shown whole where the pointer is."""


def text(value: object) -> str:
    """Return a value as text that is shown and never read as HTML."""
    return html.escape(str(value))


def table(header: Iterable[object], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; its rows are made of what `cell` and `shaded` return."""
    head = "".join(_short("th", str(name), MOST_IN_HEADER) for name in header)
    body = "\n".join("<tr>" + "".join(row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>\n{body}</table></div>'


def name_cell(name: str) -> str:
    """Return a cell with a name, which is shortened if it is long."""
    return _short("td", name, MOST_IN_CELL)


def cell(value: object) -> str:
    """Return a cell of a table."""
    return f"<td>{text(value)}</td>"


def shaded(value: object, share: float) -> str:
    """Return a cell whose background is coloured by this share, from 0 to 1."""
    return f'<td style="background: rgba(var(--bar), {share:.2f})">{text(value)}</td>'


def _short(tag: str, name: str, most: int) -> str:
    """Return an element with a name that may be too long for it."""
    short = shortened(name, most)
    title = "" if short == name else f' title="{text(name)}"'
    return f"<{tag}{title}>{text(short)}</{tag}>"
