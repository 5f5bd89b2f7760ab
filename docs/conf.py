"""The settings of the documentation site: `sphinx-build -W --keep-going -b html docs OUT`."""

import sys
from pathlib import Path

import jaxconv

sys.path.insert(0, str(Path(__file__).parent))  # for _extension

project = "jaxconv"
author = "the authors of jaxconv"
version = release = jaxconv.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "myst_nb", "_extension.site"]
exclude_patterns = ["_build"]

# Markdown as GitHub reads it, and $$ for equations.
myst_enable_extensions = ["dollarmath"]
smartquotes = False  # "SAME" is a value
myst_heading_anchors = 6
myst_heading_slug_func = "_extension.links.anchor"

# Notebooks hold no outputs: every build runs them, and fails where one fails.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 120
nb_merge_streams = True

# A single backtick in a docstring is code, and a link where there is an object of that name.
default_role = "py:obj"
autodoc_typehints = "none"  # shapes and dtypes stand in the text
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
python_display_short_literal_types = True
add_module_names = False

# MathJax is a file of the site, which `_extension/site.py` copies from a package.
mathjax_path = "mathjax.js"
mathjax3_config = {"options": {"enableMenu": False}}  # the menu would load more files

html_theme = "furo"
pygments_dark_style = "monokai"
html_title = "jaxconv"
html_static_path: list[str] = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "source_repository": "https://github.com/jaxconv/jaxconv/",
    "source_branch": "main",
    "source_directory": "docs/",
}
