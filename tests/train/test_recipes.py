import dataclasses
from typing import get_args, get_type_hints

import numpy as np
import pytest

from jaxconv.train import Config, changes, cli, loop, recipe
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.recipes import NAMED
from jaxconv.train.report.repeat import command


def test_every_recipe_can_be_chosen():
    choices = get_args(get_type_hints(Config)["recipe"])
    assert NAMED.keys() < set(choices)
    for name in choices:
        config = recipe(name)
        assert config.recipe == name
        changed = {
            field.name
            for field in dataclasses.fields(Config)
            if getattr(config, field.name) != getattr(Config(), field.name)
        } - {"recipe"}
        assert changed <= NAMED.get(name, {}).keys()


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (["--recipe", "mnist"], {}),
        (["--recipe=mnist", "--epochs", "2"], {"epochs": 2}),
        (["--shift", "0", "--recipe", "mnist"], {"shift": 0}),
        (["--recipe", "digits"], {"recipe": "digits"}),
    ],
)
def test_flags_change_a_recipe(arguments, fields, monkeypatch):
    got = []

    def run(config):
        got.append(config)
        return loop.Result(None, None, [], False)

    monkeypatch.setattr(loop, "run", run)
    cli.main(arguments)
    assert got == [recipe(fields.pop("recipe", "mnist"), **fields)]


def test_the_command_that_repeats_a_run_names_the_recipe():
    images, labels = np.zeros((40, 28, 28, 1), np.uint8), np.zeros(40, np.int32)
    dataset = Dataset(images, labels, images, labels, classes=10)
    for config, flags in (
        (recipe("mnist"), "--recipe mnist"),
        (recipe("mnist", epochs=2, dataset="some.npz"), "--dataset some.npz --epochs 2 --recipe"),
    ):
        said = command(changes.decided(config, dataset), dataset)
        assert said.startswith(f"python -m jaxconv.train {flags}"), said
    assert Config().recipe == "auto"
