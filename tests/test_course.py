"""docs/course: the pages are short, their commands print what they say, pictures are not stale."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from jaxconv.explain.cli import main

ROOT = Path(__file__).parents[1]
COURSE = ROOT / "docs" / "course"
PAGES = sorted(COURSE.glob("*.md"))
MOST_WORDS = 1500
COMMAND = re.compile(r"```sh\npython -m jaxconv\.explain ([^\n]*)\n```\n+```text\n(.*?)```", re.S)
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "draw_course.py"))


def name(page):
    return page.stem


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_is_short(page):
    """Everything counts: prose, equations and code."""
    assert len(page.read_text().split()) <= MOST_WORDS


def commands():
    for page in PAGES:
        for number, (arguments, said) in enumerate(COMMAND.findall(page.read_text()), 1):
            yield pytest.param(arguments, said, id=f"{page.stem}-{number}")


@pytest.mark.parametrize(("arguments", "said"), list(commands()))
def test_the_commands_print_what_the_page_says(arguments, said, capsys):
    main(shlex.split(arguments))
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_that_prints_is_tried(page):
    """Those without a text after them open a page in a browser, or train for minutes."""
    text = page.read_text()
    shown = re.findall(r"```sh\n(.*?)```\n+```text", text, re.S)
    assert len(shown) == len(COMMAND.findall(text))


@pytest.mark.parametrize("picture", SCRIPT["PICTURES"])
def test_pictures_are_not_stale(picture):
    """`python scripts/draw_course.py` draws them again."""
    assert (COURSE / "pictures" / f"{picture}.svg").read_text() == SCRIPT["draw"](picture)


def test_every_picture_is_shown():
    used = re.findall(r"\(pictures/([\w-]+)\.svg\)", "".join(p.read_text() for p in PAGES))
    files = {file.stem for file in (COURSE / "pictures").iterdir()}
    assert set(used) == files == set(SCRIPT["PICTURES"])
