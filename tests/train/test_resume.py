"""Runs that are interrupted, and go on."""

import contextlib
import csv
import dataclasses
import itertools
import json
import os
import re
import shutil

import jax
import matplotlib.image
import numpy as np
import pytest
from rich.progress import Progress
from train.runs import BEGUN, FILES, interrupt_at, train, without_speed

from jaxconv.train import Config, checkpoint, data, load_params, record


def assert_same_run(result, whole):
    assert without_speed(result.epochs) == without_speed(whole.epochs)
    with (result.folder / "metrics.csv").open(newline="") as file:
        rows = [list(map(float, row)) for row in list(csv.reader(file))[1:]]
    assert [row[:4] for row in rows] == [list(epoch) for epoch in without_speed(whole.epochs)]
    saved = load_params(result.folder / "params.safetensors")
    assert jax.tree.all(jax.tree.map(np.array_equal, saved, whole.params))


@pytest.fixture
def cut_off(small, no_pictures, monkeypatch, tmp_path):
    """A run of four epochs of four steps as it goes on by itself, and one cut off at a step."""
    small |= {"epochs": 4, "optimizer": "momentum", "learning_rate": 0.05, "shift": 1}
    whole, _ = train(**small, out=tmp_path / "whole")
    small["out"] = tmp_path / "cut"

    def at(step, how=KeyboardInterrupt):
        with monkeypatch.context() as patch:
            interrupt_at(patch, step, how)
            with contextlib.suppress(MemoryError):
                train(**small)
        return Config(**small, resume=small["out"])

    return whole, at


@pytest.mark.parametrize("step", [3, 4, 8])
def test_interrupted_after_a_step(step, cut_off, small, monkeypatch):
    """Steps 4 and 8 are the last ones of their epochs, which are then measured."""
    whole, _ = cut_off
    small |= {"epochs": 4, "optimizer": "momentum", "learning_rate": 0.05, "shift": 1}
    steps = itertools.count(1)

    def advance(self, task):
        if next(steps) == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "advance", advance)
        cut, _ = train(**small)
    assert cut.interrupted
    assert len(cut.epochs) == step // 4
    result, _ = train(**small, resume=small["out"])
    assert without_speed(result.epochs) == without_speed(whole.epochs)


def test_interrupted_in_the_second_epoch(small, monkeypatch, tmp_path):
    """100 images in batches of 32: the sixth step is the second of epoch 2."""
    after = interrupt_at(monkeypatch, 6)
    result, text = train(**small, out=tmp_path)
    assert result.interrupted
    assert len(result.epochs) == 1
    assert "interrupted after 1 of 2 epochs and 1 of 4 steps of the next one; to continue:" in text
    assert f" python -m jaxconv.train --resume {tmp_path}\n" in text
    assert "test accuracy" in text
    assert sorted(os.listdir(tmp_path)) == FILES
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 2
    for name in ("curves.png", "layers.png"):
        assert matplotlib.image.imread(tmp_path / name).size
    # The best is what was tested after the first epoch, and the last that after the last step.
    for name, step in (("best", 4), ("params", 5)):
        saved = load_params(tmp_path / f"{name}.safetensors")
        assert jax.tree.all(
            jax.tree.map(np.array_equal, saved, after[step - 1][0].variables.params)
        )


def test_interrupted_before_anything_was_learnt(small, monkeypatch, tmp_path):
    interrupt_at(monkeypatch, 2)
    result, text = train(**small, out=tmp_path)
    assert result.interrupted
    assert result.epochs == []
    assert "interrupted after 0 of 2 epochs and 1 of 4 steps of the next one; to continue:" in text
    assert "test accuracy" not in text
    assert sorted(os.listdir(tmp_path)) == sorted([*BEGUN, "checkpoints"])


@pytest.mark.parametrize("step", [1, 5, 6, 16])
def test_a_run_that_goes_on_is_the_run_that_was_not_cut_off(cut_off, step):
    whole, at = cut_off
    config = at(step)
    result, text = train(**vars(config))
    assert not result.interrupted
    epochs, steps = divmod(step - 1, 4)
    done = f"\n{epochs} of 4 epochs"
    done += f" and {steps} of 4 steps of the next one are done\n" if steps else " are done\n"
    assert (done in text) == (step > 1)
    assert_same_run(result, whole)
    assert json.loads((result.folder / "config.json").read_text()) == (
        json.loads((whole.folder / "config.json").read_text()) | {"out": str(result.folder)}
    )


def test_interrupted_while_a_checkpoint_is_written(cut_off, monkeypatch):
    whole, at = cut_off
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    save = checkpoint.Checkpoints.save

    def interrupted(self, step, tree):
        if step == 6:
            monkeypatch.setattr(checkpoint.Checkpoints, "save", save)
            raise KeyboardInterrupt
        save(self, step, tree)

    monkeypatch.setattr(checkpoint.Checkpoints, "save", interrupted)
    config = at(100)
    result, text = train(**vars(config))
    assert "1 of 4 epochs and 2 of 4 steps of the next one are done" in text
    assert_same_run(result, whole)


@pytest.mark.parametrize(("seconds", "done"), [(0.0, 9), (1e9, 0)])
def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(
    cut_off, monkeypatch, seconds, done
):
    """Or from its beginning, if it has none; what it had said of later epochs is said anew."""
    monkeypatch.setattr(checkpoint, "SECONDS", seconds)
    whole, at = cut_off
    config = at(10, MemoryError)
    assert (config.resume / "checkpoints").exists() == (done > 0)
    assert len((config.resume / "metrics.csv").read_text().splitlines()) == 3
    result, text = train(**vars(config))
    assert ("2 of 4 epochs and 1 of 4 steps of the next one are done" in text) == (done > 0)
    assert_same_run(result, whole)


def test_what_was_not_written_in_the_end_is_written(cut_off, monkeypatch):
    """Killed after the last checkpoint, before the parameters were saved."""
    whole, at = cut_off
    config = at(100)
    (config.resume / "params.safetensors").unlink()
    result, text = train(**vars(config))
    assert "4 of 4 epochs are done" in text
    assert_same_run(result, whole)


def test_what_killed_runs_leave_of_checkpoints_is_removed(cut_off, caplog):
    """Killed while a checkpoint was written, and while the one before it was being deleted."""
    whole, at = cut_off
    config = at(9)
    checkpoints = config.resume / checkpoint.FOLDER
    (complete,) = checkpoints.iterdir()
    unfinished = shutil.copytree(complete, checkpoints / "10.orbax-checkpoint-tmp")
    (unfinished / "default").rename(unfinished / "default.orbax-checkpoint-tmp")
    half = shutil.copytree(complete, checkpoints / str(int(complete.name) - 1))
    (half / "_CHECKPOINT_METADATA").unlink()
    result, _ = train(**vars(config))
    assert caplog.messages == []
    assert [path.name for path in checkpoints.iterdir()] == ["16"]
    assert_same_run(result, whole)


def test_more_epochs(cut_off, monkeypatch):
    whole, at = cut_off
    config = at(100)
    message = (
        f"--resume {config.resume}: all of its epochs are done; to continue, --epochs must be"
        " more than 4"
    )
    for epochs in (4, 2):
        before = (config.resume / "config.json").read_bytes()
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            train(**vars(dataclasses.replace(config, epochs=epochs)))
        assert (config.resume / "config.json").read_bytes() == before
    result, _ = train(**vars(dataclasses.replace(config, epochs=5)))
    assert without_speed(result.epochs[:4]) == without_speed(whole.epochs)
    assert len(result.epochs) == 5


def test_another_run_does_not_go_on(cut_off):
    _, at = cut_off
    config = at(6)
    before = (config.resume / "config.json").read_bytes()
    message = f"--resume {config.resume}: --seed is 0 there and cannot become 3"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        train(**vars(dataclasses.replace(config, seed=3)))
    assert (config.resume / "config.json").read_bytes() == before


def test_a_data_set_that_has_changed_does_not_go_on(cut_off, monkeypatch):
    _, at = cut_off
    config = at(6)
    known = data.load(config)
    others = [
        (known._replace(train_labels=known.train_labels[::-1]), "images or labels are different"),
        (
            known._replace(test_images=known.test_images[:20], test_labels=known.test_labels[:20]),
            "it had 100 images to train on and 30 held out, now 100 images to train on and 20 held"
            " out",
        ),
    ]
    for other, what in others:
        monkeypatch.setattr(data, "load", lambda config, other=other: other)
        message = f"--resume {config.resume}: the data set digits has changed: {what}"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            train(**vars(config))


def test_two_runs_cannot_share_a_folder(small, tmp_path):
    def again():
        with record.locked(tmp_path):
            pass

    in_use = pytest.raises(ValueError, match=r" is in use: another process trains there$")
    with record.locked(tmp_path), in_use:
        again()
    again()
    assert os.listdir(tmp_path) == []
