"""Links between Markdown files, which work on GitHub, lead to pages of the site or to GitHub."""

import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parent.parent
ROOT = DOCS.parent
REPOSITORY = "https://github.com/jaxconv/jaxconv"
SITE = "https://jaxconv.github.io/jaxconv/"

_FENCE = re.compile(r"^( *```.*?^ *```$)", re.S | re.M)
_LINK = re.compile(
    r"(?P<before>!?\[(?P<label>[^\[\]]*(?:\[[^\]]*\][^\[\]]*)*)\]\()(?P<link>[^)\s]+)\)"
)


def anchor(heading: str) -> str:
    """Return the fragment identifier of a heading, as GitHub makes it."""
    kept = (c for c in heading.strip().lower() if c in "-_ " or unicodedata.category(c)[0] in "LN")
    return "".join(kept).replace(" ", "-")


def prose(text: str) -> Iterator[tuple[str, bool]]:
    """Split a page at its blocks of code; True marks what is no code."""
    for number, part in enumerate(_FENCE.split(text)):
        yield part, number % 2 == 0


def for_site(text: str, written_in: Path, page: Path, twins: dict[Path, Path]) -> str:
    """Return the text of a page with links that work on the site.

    Args:
        text: Markdown.
        written_in: the file that holds the text; its links are relative to this file.
        page: the file of the page that shows it, in this folder.
        twins: for a file outside of this folder, the file here whose page shows it.
    """

    def change(found: re.Match[str]) -> str:
        before, label, link = found["before"], found["label"], found["link"]
        if link.startswith(SITE):  # no Markdown: Sphinx knows no page of this name
            up = "../" * len(page.relative_to(DOCS).parents[:-1])
            return f'<a href="{up}{link.removeprefix(SITE)}">{label}</a>'
        if re.match(r"[a-z]+:|#", link):
            return found[0]
        file, _, fragment = link.partition("#")
        target = (written_in.parent / file).resolve()
        target = twins.get(target, target)
        fragment = f"#{fragment}" if fragment else ""
        if target.is_relative_to(DOCS) and target.is_file():
            return f"{before}{Path(os.path.relpath(target, page.parent)).as_posix()}{fragment})"
        kind = "tree" if target.is_dir() else "blob"
        return f"{before}{REPOSITORY}/{kind}/main/{target.relative_to(ROOT).as_posix()}{fragment})"

    return "".join(_LINK.sub(change, part) if is_prose else part for part, is_prose in prose(text))
