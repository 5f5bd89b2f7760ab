"""What the site does beside Sphinx, MyST-NB and the theme.

site.py         connects all of this to Sphinx
links.py        links between Markdown files, which work on GitHub, lead to pages or to GitHub here
pages.py        pages that stand outside this folder, such as README.md, and the pages of a folder
docstrings.py   Google-style docstrings with indented equations, as reStructuredText
public.py       what documents the public names of a module
interactive.py  the pages of `jaxconv.explain`

Only site.py imports Sphinx.
"""
