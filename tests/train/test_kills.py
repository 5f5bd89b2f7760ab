"""Runs that are killed at random moments, and go on."""

import json
import os
import random
import subprocess
import sys
import time

import pytest
from train.runs import without_speed

from jaxconv.train import checkpoint, record

KILLS = int(os.environ.get("JAXCONV_KILLS", "3"))
"""How many runs are killed."""

RUN = """
import sys
from jaxconv.train import checkpoint
from jaxconv.train.cli import main
checkpoint.SECONDS = float(sys.argv[1])
main(sys.argv[2:])
"""

FLAGS = "--epochs 3 --model lenet --optimizer momentum --learning-rate 0.05 --ema 0.9 --flip True"

EPOCHS = 3


def start(seconds, *arguments):
    """Start a run with this many seconds between its checkpoints, in a process of its own."""
    command = [sys.executable, "-c", RUN, seconds, *arguments]
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(process):
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")


def state(folder):
    """What a run has left, but for the times in it."""
    config = json.loads((folder / "config.json").read_text())
    config.pop("out")
    names = ("params.safetensors", "best.safetensors", "batch.png", "layers.png", "data.json")
    return (
        sorted(path.name for path in folder.glob("[!.]*")),
        [path.name for path in (folder / "checkpoints").iterdir()],
        without_speed(record.load_metrics(folder / "metrics.csv", EPOCHS)),
        config,
        [(folder / name).read_bytes() for name in names],
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    finished(start(1e9, *FLAGS.split(), "--out", folder))
    return state(folder)


def kill(process, moment, folder):
    """Kill a run while it starts, while it takes its steps, or while it writes its results."""
    begins = {"start": "", "steps": "training images", "results": f"epoch {EPOCHS}/"}[moment]
    wait = {"start": 6.0, "steps": 1.5, "results": 3.0}[moment] * random.random()
    while begins and not process.stdout.readline().startswith(begins):
        assert process.poll() is None
    while moment == "steps" and not (folder / checkpoint.FOLDER).exists():  # it is compiling
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(wait)
    process.kill()
    process.communicate()


@pytest.mark.thorough
@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_that_was_killed_ends_as_one_that_was_not(whole, tmp_path, number):
    moment = ("steps", "results", "start")[number % 3]
    seconds = (0, 0.2)[number // 3 % 2]  # with 0, a checkpoint is written after every step
    folder = tmp_path / "run"
    process = start(seconds, *FLAGS.split(), "--out", folder)
    kill(process, moment, folder)
    had_begun = (folder / record.CONFIG).exists()
    if process.returncode != 0:  # it had not ended by itself
        again = ("--resume", folder) if had_begun else (*FLAGS.split(), "--out", folder)
        resumed = start(1e9, *again)
        _, errors = resumed.communicate()
        if resumed.returncode == 2:  # it had written all, and was killed before it could exit
            assert "all of its epochs are done" in errors
        else:
            assert (resumed.returncode, errors) == (0, "")
    assert state(folder) == whole
