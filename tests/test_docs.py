"""The documentation tells the truth: quotes are the code, examples print what they say."""

import itertools
import re
import subprocess
import sys
import textwrap
import unicodedata
from pathlib import Path

import jax.numpy as jnp
import pytest

from jaxconv.check import check_rule

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LONG = {
    "by_hand", "checking", "0-nudge", "1-dense", "3-strides", "4-channels", "5-pooling",
    "6-softmax", "7-batch-norm", "8-network", "9-your-own-rule",
}  # fmt: skip
"""Pages with many examples, each of which takes some seconds; of the course, one is quick."""
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.S | re.M)


def path(page):
    """The id of a page, so that `-k course` or `-k derivations` chooses a folder."""
    return str(page.relative_to(ROOT).with_suffix(""))


def run(code):
    """What a reader sees who pastes the code into a fresh interpreter."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def page_examples():
    for page in PAGES:
        blocks = FENCE.findall(page.read_text())
        for (language, code), following in itertools.pairwise([*blocks, ("", "")]):
            if language == "python" and code.startswith("import"):
                said = following[1] if following[0] == "text" else ""
                name = f"{path(page)}-{code.count(chr(10))}-lines"
                marks = pytest.mark.thorough if page.stem in LONG else ()
                yield pytest.param(code, said, id=name, marks=marks)


@pytest.mark.parametrize(("code", "said"), list(page_examples()))
def test_examples_print_what_the_page_says(code, said):
    assert run(code) == said


def test_docstring_examples():
    files = [path for path in (ROOT / "jaxconv").rglob("*.py") if ">>>" in path.read_text()]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    assert modules
    run(
        "import doctest, importlib\n"
        f"for name in {modules}:\n"
        "    found = doctest.testmod(importlib.import_module(name))\n"
        "    assert found.attempted and not found.failed, name\n"
    )


@pytest.mark.parametrize("page", PAGES, ids=path)
def test_quotes_are_the_code(page):
    """A python block that is no example stands, to the letter, in the file named last before it."""
    text = page.read_text()
    for block in FENCE.finditer(text):
        if block[1] == "python" and not block[2].startswith("import"):
            file = re.findall(r"`(jaxconv/[\w/]+\.py)`", text[: block.start()])[-1]
            assert block[2] in (ROOT / file).read_text(), f"not in {file}:\n{block[2]}"


def anchors(page):
    """The fragment identifiers of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.M)
    return {
        "".join(
            c for c in re.sub(r"[`*]", "", heading).strip().lower()
            if c in "-_ " or unicodedata.category(c)[0] in "LN"
        ).replace(" ", "-")
        for heading in headings
    }  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=path)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=path)
def test_a_label_with_a_number_leads_to_the_section_of_that_number(page):
    links = re.findall(r"\[[^\]]*(?:§|section )(\d+)\]\([^)\s]*#(\d+)-", page.read_text())
    assert all(label == anchor for label, anchor in links), links


def test_the_activation_that_contributing_adds_is_right():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    (block,) = re.findall(r"```text\n(   def softcap.*?)   ```", page, re.S)
    (imports,) = re.findall(r"`(from jaxconv\._core[^`]*)` and `", page)
    (more,) = re.findall(r"and `(from jaxconv\.activation[^`]*)`", page)
    names = {}
    code = [*(" ".join(line.split()) for line in (imports, more)), textwrap.dedent(block)]
    theirs = ["import jax.numpy as jnp", "from jax import Array"]  # what the file imports already
    theirs.append("from jaxconv._core.shapes import Shaped")
    exec("\n".join([*theirs, *code]), names)
    x = jnp.linspace(-5.0, 5.0, 12)

    def meant(x):
        return 2.0 * jnp.tanh(x / 2.0)

    check_rule(lambda x: names["softcap"](x, 2.0), (x,), meant).raise_if_failed()
