"""Runs that are killed at random moments, and go on."""

import os
import random
import subprocess
import sys
import time

import pytest
from train.runs import train, without_speed

from jaxconv.train import Config, record
from jaxconv.train.record import begun

KILLS = int(os.environ.get("JAXCONV_KILLS", "3"))
"""How many runs are killed."""

RUN = """
import sys
from jaxconv.train import checkpoint
from jaxconv.train.cli import main
checkpoint.SECONDS = float(sys.argv[1])
main(sys.argv[2:])
"""

FIELDS = {"epochs": 6, "model": "lenet", "optimizer": "momentum", "learning_rate": 0.05}
FIELDS |= {"ema": 0.9, "shift": 1, "flip": True}
FLAGS = [word for name, value in FIELDS.items() for word in (f"--{name.replace('_', '-')}", value)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(**FIELDS, out=tmp_path_factory.mktemp("whole") / "run")[0]


def killed(folder, seconds, moment):
    """Start a run in a process of its own, and kill it; return whether it was still alive.

    Args:
        folder: the output folder.
        seconds: between its checkpoints; with 0 it writes one after every step.
        moment: "begin", "steps" or "end": while it starts, while it trains, or after its last
            epoch, when it writes its results.
    """
    command = [sys.executable, "-c", RUN, seconds, *FLAGS, "--out", folder]
    wait = {"begin": 8.0, "steps": 2.0, "end": 3.0}[moment] * random.random()
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
        starts = {"begin": "", "steps": "training images", "end": "epoch 6/6"}[moment]
        while starts and not process.stdout.readline().startswith(starts):
            assert process.poll() is None
        time.sleep(wait)
        alive = process.poll() is None
        process.kill()
    return alive


@pytest.mark.thorough
@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_that_was_killed_ends_as_one_that_was_not(whole, tmp_path, number):
    moment = ("steps", "end", "begin")[number % 3]
    folder = tmp_path / "run"
    alive = killed(folder, (0, 0.3)[number // 3 % 2], moment)
    if not (folder / record.CONFIG).exists():  # it had not begun
        result, _ = train(**FIELDS, out=folder)
    elif alive:
        result, _ = train(**(vars(begun(folder)) | {"resume": folder}))
    else:
        return  # it had ended
    assert without_speed(result.epochs) == without_speed(whole.epochs)
    for name in ("params.safetensors", "best.safetensors", "batch.png"):
        assert (folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert sorted(path.name for path in folder.glob("[!.]*")) == sorted(
        path.name for path in whole.folder.glob("[!.]*")
    )
    assert Config(**(vars(begun(folder)) | {"out": None})) == Config(
        **(vars(begun(whole.folder)) | {"out": None})
    )
