"""Pages that stand outside of `docs/`, and the table of contents of a folder."""

import re
from pathlib import Path

from _extension.links import DOCS, for_site

_STUB = re.compile(r"\A# .*\n\n.*\[[^\]]*\]\(((?:\.\./)+[\w/]+\.md)\).*\n\Z")
_PATTERN = re.compile(r"^([\w/]+\*)\n", re.M)


def twins() -> dict[Path, Path]:
    """Return the files outside of `docs/` that have a page, each with the file of that page.

    Such a page is a heading and one line, which has a link to the file.
    """
    found = {}
    for page in DOCS.glob("*.md"):
        if stub := _STUB.match(page.read_text(encoding="utf-8")):
            found[(page.parent / stub[1]).resolve()] = page
    return found


def chapters(readme: Path) -> list[str]:
    """Return the other pages of a README's folder, in the order in which it first links to them."""
    linked = re.findall(r"\]\(([\w-]+)\.md", readme.read_text(encoding="utf-8"))
    there = sorted(page.stem for page in readme.parent.glob("*.md") if page != readme)
    return [*dict.fromkeys(name for name in linked if name in there), *sorted({*there} - {*linked})]


def source_of(page: Path, text: str) -> str:
    """Return what Sphinx reads for a page of `docs/`."""
    outside = twins()
    written_in = next((file for file, its_page in outside.items() if its_page == page), page)
    if written_in != page:
        text = written_in.read_text(encoding="utf-8")
    text = for_site(text, written_in, page, outside)
    # Sphinx warns of a pattern that no page matches.
    text = _PATTERN.sub(lambda found: found[0] if any(DOCS.glob(f"{found[1]}.md")) else "", text)
    if page.name == "README.md":
        names = "\n".join(chapters(page))
        text += f"\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    return text
