"""A report explains each mistake in the words of docs/diagnoses.md."""

import re
from pathlib import Path

from jaxconv.check.explanations import EXPLANATIONS

PAGE = Path(__file__).parents[2] / "docs" / "diagnoses.md"


def explanation(section):
    """Return the text of a section without the sentences that only lead elsewhere."""
    text = " ".join(section.split()).replace("`", "")
    sentences = re.findall(r".*?[.?!](?= [A-Z0-9c(½]|$)", text)
    kept = [s.strip() for s in sentences if "](" not in s] or sentences
    return re.sub(r"\[(.*?)\]\(.*?\)", r"\1", " ".join(kept))


def test_reports_say_what_the_page_says():
    sections = re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S)
    assert {name: explanation(text) for name, text in sections} == EXPLANATIONS
