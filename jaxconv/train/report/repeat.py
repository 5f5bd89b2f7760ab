"""How to repeat a run: its command and its settings."""

import shlex
from dataclasses import replace

from jaxconv.train import changes
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.flags import flag
from jaxconv.train.recipes import recipe
from jaxconv.train.record import environment
from jaxconv.train.report.markup import cell, table

FREE = (
    "out",
    "resume",
    "verify_gradients",
    "memory",
    "tensorboard",
    "coordinator",
    "processes",
    "process_id",
)
"""Flags that do not change what is learnt."""


def command(config: Config, dataset: Dataset) -> str:
    """Return the command that repeats a run: the flags that are not what they are without it."""
    words = ["python", "-m", "jaxconv.train"]
    bare, named = Config(), recipe(config.recipe)
    made = changes.decided(replace(named, dataset=config.dataset), dataset)
    for name, value in vars(config).items():
        usual = getattr({"recipe": bare, "dataset": named}.get(name, made), name)
        if value == usual or name in FREE:
            continue
        words += [flag(name)] if isinstance(getattr(bare, name), bool) else [flag(name), str(value)]
    return shlex.join(words)


def settings(config: Config) -> str:
    """Return the settings and the environment of the run, in one table."""
    known = {**vars(config), "weight_decay": config.decay, **environment()}
    return table(
        ["setting", ""],
        ([cell(name), cell("–" if value is None else value)] for name, value in known.items()),
    )
