"""Short runs of the training program."""

import io

from rich.console import Console

from jaxconv.train import Config, trainer
from jaxconv.train.loop import run

BEGUN = ["batch.png", "config.json", "data.json", "log.txt"]
"""What a run has written when it takes its first step."""

FILES = ["best.safetensors", "checkpoints", "curves.png", "gradient.html", "layers.png"]
FILES = sorted([*BEGUN, *FILES, "metrics.csv", "params.safetensors", "report.html"])
"""What a run leaves."""


def train(**fields):
    """The result of a run, and what it printed."""
    printed = io.StringIO()
    result = run(Config(**fields), Console(file=printed, width=120))
    return result, printed.getvalue()


def without_speed(epochs):
    return [epoch[:4] for epoch in epochs]


def interrupt_at(monkeypatch, call, how=KeyboardInterrupt):
    """Ctrl-C, or what else, in the step of this number; the parameters after every step."""
    compiled, after = trainer.compiled, []

    def interrupted(function, *args):
        run = compiled(function, *args)
        if function.__name__ == "evaluate":
            return run

        def call_or_interrupt(*args):
            if len(after) + 1 == call:
                raise how
            after.append(run(*args))
            return after[-1]

        return call_or_interrupt

    monkeypatch.setattr(trainer, "compiled", interrupted)
    return after
