"""A still picture of a sum: each array as a grid, and in its cells the numbers of the products."""

import html
import itertools
import math
import textwrap
from collections.abc import Iterator, Sequence

from jaxconv._core.geometry import Ints
from jaxconv.explain.entry import Entry
from jaxconv.explain.notation import Notation, Shape
from jaxconv.explain.sums import Sum

MOST_CELLS = 4_000
"""The most cells of all grids together."""

_CELL, _GAP, _LINE, _LETTER = 30, 28, 20, 8  # in pixels; a letter is 8 wide
_WIDTH = 90  # letters of a line of the caption
_LINES = 6  # of the caption
_FITS = 4  # letters in a cell

_STYLE = """
text { font: 12px ui-monospace, monospace; fill: #222; text-anchor: middle }
text.left { text-anchor: start }
rect { fill: #fff; stroke: #888 }
rect.page { stroke: none }
rect.read { fill: #ffdf9e }
rect.this { fill: #9ecbff; stroke: #0550ae; stroke-width: 3 }
@media (prefers-color-scheme: dark) {
text { fill: #eee }
rect { fill: #1c1f24; stroke: #777 }
rect.read { fill: #7a5200 }
rect.this { fill: #0a4a8a; stroke: #79b8ff }
}
"""


def svg(explained: Sum) -> str:
    """Return an SVG picture of a sum, which reads well on light and on dark pages.

    The element has a thick border. Each factor has the numbers of the products it belongs to, so
    that factors of one product have the same number. Grids of several examples or channels stand
    below each other.

    Example:
        >>> from jaxconv.explain import svg, terms
        >>> picture = svg(terms("conv", input=(3, 3), kernel=2, padding="VALID", of="dx[0,1]"))
        >>> picture[:40], picture.count('class="read"')
        ('<svg xmlns="http://www.w3.org/2000/svg" ', 4)

    Args:
        explained: the sum.

    Raises:
        ValueError: the grids have more than 4,000 cells.
    """
    marks = _marks(explained)
    shapes = {name: explained.notation.shape(name) for name in marks}
    cells = sum(math.prod(shape.sizes) for shape in shapes.values())
    if cells > MOST_CELLS:
        raise ValueError(
            f"explain: a picture may have {MOST_CELLS:,} cells, but the arrays of"
            f" {explained.left} have {cells:,}"
        )
    left, height = _GAP, 0
    body: list[str] = []
    for name, shape in shapes.items():
        top, width = _GAP + _LINE, 0
        for title, rows in _planes(explained.notation, name, shape):
            body.append(_text(left, top - 6, title, "left"))
            for row, entries in enumerate(rows):
                for column, entry in enumerate(entries):
                    place = left + column * _CELL, top + row * _CELL
                    body.append(_cell(*place, marks[name].get(entry.index, ())))
                    if entry == explained.element:
                        chosen = _box(*place, "this")
            width = max(width, len(rows[0]) * _CELL, _LETTER * len(title))
            top += len(rows) * _CELL + _LINE + _GAP // 4
        left, height = left + width + _GAP, max(height, top)
    body.append(chosen)  # last, so that no other cell covers its border
    parts = (line.strip() for line in explained.text.splitlines())
    caption = [line for part in parts for line in textwrap.wrap(part, _WIDTH)]
    if len(caption) > _LINES:
        caption = [*caption[:_LINES], "…"]
    for line in caption:
        body.append(_text(_GAP, height + 4, line, "left"))
        height += _LINE
    width = max(left, _LETTER * max(map(len, caption)) + 2 * _GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" role="img"><title>{html.escape(explained.left)}</title>'
        f'<style>{_STYLE}</style>\n<rect class="page" width="{width}" height="{height}"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _marks(explained: Sum) -> dict[str, dict[Ints, list[int]]]:
    """Return, per array and element, the numbers of the products that it is a factor of."""
    marks: dict[str, dict[Ints, list[int]]] = {explained.element.array: {}}
    for number, product in enumerate(explained.terms, 1):
        for factor in product.factors:
            if isinstance(factor, Entry):
                marks.setdefault(factor.array, {}).setdefault(factor.index, []).append(number)
    return marks


def _planes(notation: Notation, name: str, shape: Shape) -> Iterator[tuple[str, list[list[Entry]]]]:
    """Return the title and the rows of each grid of an array; a grid has up to two axes."""
    axes = (shape.always or tuple(range(len(shape.sizes))))[-2:]
    letter = notation.letter(name)
    if not axes:
        yield letter, [[Entry(name, ())]]
        return
    *before, across = axes
    down = range(shape.sizes[before[0]] if before else 1)
    outer = [range(1) if a in axes else range(n) for a, n in enumerate(shape.sizes)]
    for index in itertools.product(*outer):
        place = ["·" if a in axes else str(index[a] + notation.base) for a in shape.written]
        alone = all(part == "·" for part in place)
        rows = []
        for row in down:
            cells = []
            for column in range(shape.sizes[across]):
                full = list(index)
                full[across] = column
                for axis in before:
                    full[axis] = row
                cells.append(Entry(name, tuple(full)))
            rows.append(cells)
        yield letter if alone else f"{letter}[{','.join(place)}]", rows


def _cell(x: int, y: int, numbers: Sequence[int]) -> str:
    shown = ",".join(map(str, numbers))
    shown = shown if len(shown) <= _FITS else "…"
    box = _box(x, y, "read" if numbers else "empty")
    return box + (_text(x + _CELL // 2, y + _CELL // 2 + 4, shown, "number") if shown else "")


def _box(x: int, y: int, kind: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" class="{kind}"/>'


def _text(x: int, y: int, text: str, kind: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{html.escape(text)}</text>'
