"""docs/explain.md: the commands print what the page says, and the list of names is right."""

import re
import shlex
from pathlib import Path

import pytest

import jaxconv.explain
from jaxconv.check.missing import signature
from jaxconv.explain.cli import main

DOCS = Path(__file__).parents[2] / "docs"
COMMAND = re.compile(r"```sh\npython -m jaxconv\.explain ([^\n]*)\n```\n```text\n(.*?)```", re.S)
COMMANDS = COMMAND.findall((DOCS / "explain.md").read_text())


@pytest.mark.parametrize(("arguments", "said"), COMMANDS)
def test_the_commands_print_what_the_page_says(arguments, said, capsys):
    main(shlex.split(arguments))
    assert capsys.readouterr().out == said


def test_every_command_is_tried():
    assert len(COMMANDS) == (DOCS / "explain.md").read_text().count("```sh\n")


def test_the_signatures_are_listed():
    _, _, listed = (DOCS / "api.md").read_text().partition("## Explaining")
    for name in jaxconv.explain.__all__:
        value = getattr(jaxconv.explain, name)
        assert name in listed if isinstance(value, type) else signature(value) in listed
