"""The site: every page can be reached, links lead somewhere, nothing is asked of a server."""

import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from _extension import docstrings, interactive, links, pages, public

DOCS = Path(__file__).parent.parent / "docs"
MODULES = (
    "jaxconv",
    "jaxconv.check",
    "jaxconv.explain",
    "jaxconv.models",
    "jaxconv.train",
    "jaxconv.convert",
    "jaxconv.flax.linen",
    "jaxconv.flax.nnx",
    "jaxconv.equinox",
)


def source_of(page):
    return pages.source_of(page, page.read_text())


def toctree(page):
    """The pages in a page's tables of contents, as files."""
    for block in re.findall(r"^```\{toctree\}\n(.*?)^```", source_of(page), re.S | re.M):
        for line in block.splitlines():
            if line and not line.startswith(":"):
                name = re.sub(r".*<(.*)>", r"\1", line)
                yield from page.parent.glob(f"{name}.md")


def test_every_page_is_in_one_table_of_contents():
    listed = [page for each in DOCS.rglob("*.md") for page in toctree(each)]
    assert sorted([*listed, DOCS / "index.md"]) == sorted(DOCS.rglob("*.md"))


def test_the_settings_compile():
    compile((DOCS / "conf.py").read_text(), "conf.py", "exec")


def test_a_page_for_a_file_outside_shows_that_file():
    found = {file.name: page.name for file, page in pages.twins().items()}
    assert found == {
        "README.md": "start.md",
        "CONTRIBUTING.md": "contributing.md",
        "CHANGELOG.md": "changelog.md",
    }
    assert (
        "![Times faster than autodiff, by op and by network, on two CPU cores](benchmarks.svg)"
        in (source_of(DOCS / "start.md"))
    )


def test_a_pattern_without_pages_is_left_out():
    text = "```{toctree}\n:glob:\n\nnowhere/*\nlab/README*\n```\n"
    assert pages.source_of(DOCS / "index.md", text) == text.replace("nowhere/*\n", "")


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("conv.md#5-true", "conv.md#5-true"),
        ("../benchmarks.md", "../benchmarks.md"),
        ("../../README.md#the-ops", "../start.md#the-ops"),
        ("../../jaxconv/dense.py", f"{links.REPOSITORY}/blob/main/jaxconv/dense.py"),
        ("../../jaxconv/loss", f"{links.REPOSITORY}/tree/main/jaxconv/loss"),
        ("https://example.org/a", "https://example.org/a"),
        ("#here", "#here"),
    ],
)
def test_links_of_a_page(link, expected):
    page = DOCS / "derivations" / "dense.md"
    text = f"See [`this` page]({link}).\n```text\n[code]({link})\n```\n"
    assert links.for_site(text, page, page, pages.twins()) == text.replace(link, expected, 1)


def test_links_to_the_site_become_relative():
    page = DOCS / "derivations" / "dense.md"
    text = links.for_site(f"[it]({links.SITE}interactive/smallest.html)", page, page, {})
    assert text == '<a href="../interactive/smallest.html">it</a>'


def test_links_to_interactive_pages_lead_to_one():
    for page in DOCS.rglob("*.md"):
        for name in re.findall(
            rf"{re.escape(links.SITE)}interactive/(\w+)\.html", page.read_text()
        ):
            assert name in interactive.PRESETS


def test_interactive_pages_show_what_is_asked():
    made = interactive.pages()
    assert set(made) == set(interactive.PRESETS)
    assert '"of": "dX[1,2]"' in made["smallest"]


def test_every_public_name_has_its_place_in_the_api():
    documented = []
    for page in (DOCS / "reference").glob("*.md"):
        for module, names_from, names in re.findall(
            r"^```\{public\} ([\w.]+) ?([\w.]*)\n(.*?)```", page.read_text(), re.S | re.M
        ):
            listed = names.split() or public.names_of(names_from or module)
            documented += [(module, name) for name in listed]
    expected = [(module, name) for module in MODULES for name in public.names_of(module)]
    assert sorted(documented) == sorted(expected)


DOCSTRING = """\
Add x_ and *y.

With `s` and `a + b`:

    z = x + y
    dz  = 1

    w = |z|
and nothing else: docs/by_hand.md.

Example:
    >>> 1 + 1
    2

Args:
    x: one, (N, *spatial),
        or two.
    *y: more.

Returns:
    z.
"""

RST = r'''Add x\_ and \*y.

With \ `s`\  and \ ``a + b``\ :

::

    z = x + y
    dz  = 1

    w = |z|

and nothing else: \ :doc:`docs/by_hand.md </by_hand>`\ .

.. rubric:: Example

>>> 1 + 1
2

:param x: one, (N, \*spatial),
    or two.
:param \*y: more.

:returns: z.
'''  # fmt: skip


def test_docstrings_keep_their_lines():
    rst = docstrings.as_rst(DOCSTRING.splitlines())
    assert re.sub("\n\n+", "\n\n", "\n".join(rst)) == RST


class References(HTMLParser):
    """What a page loads, what it links to, and what it has ids for."""

    def __init__(self):
        super().__init__()
        self.loads, self.links, self.ids = [], [], set()

    def handle_starttag(self, tag, attributes):
        has = dict(attributes)
        self.ids.add(has.get("id"))
        self.links += [has["href"]] if tag == "a" and "href" in has else []
        self.loads += [has["src"]] if "src" in has else []
        self.loads += [has["href"]] if tag == "link" and "href" in has else []


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    missing = [name for name in ("sphinx", "furo", "myst_nb", "sphinx-mathjax-offline", "flax")
               if importlib.util.find_spec(name) is None]  # fmt: skip
    if missing:
        pytest.skip(f'pip install -e ".[docs]": {", ".join(missing)} missing')
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    built = subprocess.run([*command, DOCS, out], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return out


@pytest.fixture(scope="module")
def references(site):
    found = {}
    for page in site.rglob("*.html"):
        found[page] = References()
        found[page].feed(page.read_text())
    return found


@pytest.mark.thorough
def test_no_page_loads_anything_from_a_server(site, references):
    for page, has in references.items():
        for file in has.loads:
            assert urlsplit(file).scheme in ("", "data"), (page, file)
            assert not file.startswith("//"), (page, file)
    for file in [*site.rglob("*.css"), *site.rglob("*.html")]:
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", file.read_text()), file
    for file in site.rglob("*.js"):
        assert not re.search(r"https?://[^\s\"'`]*(cdn|unpkg|googleapis)", file.read_text()), file


@pytest.mark.thorough
def test_links_within_the_site_lead_somewhere(references):
    for page, has in references.items():
        for link in has.links:
            parts = urlsplit(link)
            if not parts.scheme and (parts.path or parts.fragment):
                target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
                assert target.exists(), (page, link)
                fragment = unquote(parts.fragment)
                assert not fragment or fragment in references[target].ids, (page, link)


@pytest.mark.thorough
def test_equations_and_outputs_are_there(site):
    conv = (site / "derivations" / "README.html").read_text()
    assert 'class="math' in conv
    assert "mathjax.js" in conv
    assert (site / "_static" / "mathjax.js").stat().st_size > 1e6
    assert "37" in (site / "notebooks" / "first_gradient.html").read_text()
