"""How to repeat a run: its command and its settings."""

import shlex

from jaxconv.train.config import Config
from jaxconv.train.flags import flag
from jaxconv.train.record import environment
from jaxconv.train.report.markup import cell, table


def command(config: Config) -> str:
    """Return the command that repeats a run: the flags that are not the default ones."""
    words = ["python", "-m", "jaxconv.train"]
    usual = Config()
    for name, value in vars(config).items():
        if value == getattr(usual, name) or name in ("out", "resume", "verify_gradients"):
            continue
        words += [flag(name)] if value is True else [flag(name), str(value)]
    return shlex.join(words)


def settings(config: Config) -> str:
    """Return the settings and the environment of the run, in one table."""
    known = {**vars(config), "weight_decay": config.decay, **environment()}
    return table(
        ["setting", ""],
        ([cell(name), cell("–" if value is None else value)] for name, value in known.items()),
    )
