"""Connect the other files of this folder to Sphinx."""

import importlib.util
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from _extension.docstrings import as_rst
from _extension.interactive import pages
from _extension.pages import source_of, twins
from _extension.public import described, directives, names_of

MATHJAX = "tex-svg-full.js"
"""One file with all packages of TeX and the shapes of all letters."""
SERVER = "https://cdn.jsdelivr.net/npm/"
"""Where MathJax would get what reads equations aloud, were it asked to."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_directive("public", Public)
    app.connect("builder-inited", _copy_mathjax)
    app.connect("env-get-outdated", _read_twins_again)
    app.connect("source-read", _read)
    app.connect("autodoc-process-docstring", _process_docstring)
    app.connect("doctree-read", _dash)
    app.connect("build-finished", _write_interactive_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Public(SphinxDirective):
    """Document public names of a module.

    A second module may say which, by its `__all__`; or they are given, one a line.
    """

    required_arguments = 1
    optional_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return what autodoc makes of them."""
        module, names_from = self.arguments[0], self.arguments[-1]
        text = directives(module, list(self.content) or names_of(names_from))
        made: list[nodes.Node] = self.parse_text_to_nodes(f"```{{eval-rst}}\n{text}\n```")
        return made


def _copy_mathjax(app: Sphinx) -> None:
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError('install the packages of the site: pip install -e ".[docs]"')
    script = (Path(spec.origin).parent / "static" / "mathjax" / MATHJAX).read_text("utf-8")
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    (static / "mathjax.js").write_text(script.replace(SERVER, ""), "utf-8")


def _read_twins_again(app: Sphinx, *_: object) -> list[str]:
    return [page.stem for page in twins().values()]


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    source[0] = source_of(Path(app.env.doc2path(name)), source[0])


def _process_docstring(
    app: Sphinx, what: str, name: str, it: object, options: object, lines: list[str]
) -> None:
    # Python gives a value the docstring of its type.
    lines[:] = [described(it), ""] if what == "data" else as_rst(lines)


def _dash(app: Sphinx, document: nodes.document) -> None:
    """Put a dash between an argument and its description, where Sphinx writes two hyphens."""
    for text in list(document.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" – "))


def _write_interactive_pages(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "interactive"
        folder.mkdir(exist_ok=True)
        for name, text in pages().items():
            (folder / f"{name}.html").write_text(text, "utf-8")
