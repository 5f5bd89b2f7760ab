"""Google-style docstrings with indented equations, as reStructuredText."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

_SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Example):")
_ENTRY = re.compile(r"(\*{0,2}[\w.]+): (.*)")
_CODE = re.compile(r"(`[^`]+`)")
_PAGE = re.compile(r"\bdocs/([\w/]+)\.md\b")


def as_rst(docstring: list[str]) -> list[str]:
    """Return the docstring as reStructuredText.

    An indented block becomes a literal one, with its line breaks. Args, Returns and Raises become
    fields; Example and Attributes get a heading. No character but a backtick is markup, and the
    name of a page, such as docs/checking.md, becomes a link.
    """
    written: list[str] = []
    for section, lines in _sections(docstring):
        if section in ("Args", "Raises", "Attributes"):
            if section == "Attributes":
                written += [".. rubric:: Attributes", ""]
            for name, text in _entries(_dedent(lines)):
                if section == "Attributes":
                    written += _hang(f"- ``{name}``: ", text)
                else:
                    field = "param" if section == "Args" else "raises"
                    written += _hang(f":{field} {_escaped(name)}: ", text)
        elif section == "Returns":
            written += _hang(":returns: ", _dedent(lines))
        elif section == "Example":
            written += [".. rubric:: Example", "", *_paragraphs(_dedent(lines))]
        else:
            written += _paragraphs(lines)
        written.append("")
    return written


def _sections(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Split at headings; a section ends at the first line that is not indented."""
    section, inside = "", list[str]()
    for line in lines:
        heading = _SECTION.fullmatch(line)
        if heading or (section and line and not line.startswith(" ")):
            yield section, inside
            section, inside = heading[1] if heading else "", []
        if not heading:
            inside.append(line)
    yield section, inside


def _entries(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    name, text = "", list[str]()
    for line in lines:
        if entry := _ENTRY.fullmatch(line):
            if name:
                yield name, text
            name, text = entry[1], [entry[2]]
        else:
            text.append(line)
    if name:
        yield name, [text[0], *_dedent(text[1:])]


def _hang(head: str, lines: list[str]) -> list[str]:
    first, *more = [*_paragraphs([lines[0], *_dedent(lines[1:])])]
    indent = "  " if head.startswith("- ") else "    "
    return [head + first, *(f"{indent}{line}".rstrip() for line in more)]


def _paragraphs(lines: list[str]) -> list[str]:
    """Mark what is indented, or an example, as literal, and everything else as plain text."""
    written: list[str] = []
    for kind, block in groupby(_kinds(lines), key=lambda each: each[0]):
        texts = [line for _, line in block]
        if kind == "literal":
            while texts and not texts[-1]:
                texts.pop()
            written += ["", "::", "", *(f"    {line}".rstrip() for line in _dedent(texts)), ""]
        elif kind == "example":
            written += ["", *texts, ""]
        else:
            written += [_escaped(line) for line in texts]
    return written


def _kinds(lines: list[str]) -> Iterator[tuple[str, str]]:
    kind = "text"
    for line in lines:
        if line.startswith(">>>"):
            kind = "example"
        elif line.startswith("    ") and kind != "example":
            kind = "literal"
        elif not line.strip():
            kind = kind if kind == "literal" else "text"
        elif kind != "example":
            kind = "text"
        yield kind, line


def _escaped(line: str) -> str:
    parts = _CODE.split(line)
    parts[::2] = [_plain(part) for part in parts[::2]]
    # A name may be a link. `\\ ` ends markup wherever it stands, and becomes nothing.
    parts[1::2] = [
        rf"\ {part}\ " if re.fullmatch(r"[\w.`]+", part) else rf"\ `{part}`\ "
        for part in parts[1::2]
    ]
    text = "".join(parts)
    return "\\" + text if re.match(r"([-+•–] |(\d+|#|[a-zA-Z])[.)] )", text) else text


def _plain(text: str) -> str:
    """Return text without markup, in which the name of a page is a link."""
    names = _PAGE.split(text)
    names[::2] = [re.sub(r"[\\*_|`]", r"\\\g<0>", name) for name in names[::2]]
    names[1::2] = [rf"\ :doc:`docs/{name}.md </{name}>`\ " for name in names[1::2]]
    return "".join(names)


def _dedent(lines: list[str]) -> list[str]:
    depth = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[depth:] for line in lines]
