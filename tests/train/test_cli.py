import dataclasses
import os
import runpy
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxconv._core.extras import MissingExtraError
from jaxconv.train import Config, cli, loop, processes, record
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.verify import GradientMismatchError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def command(capsys):
    """Runs the command with these arguments; its exit status, stdout and stderr."""

    def run(*arguments, main=cli.main):
        status = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code or 0
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def configs(monkeypatch):
    """Plays the training: the configurations that it was called with."""
    called = []

    def run(config):
        called.append(config)
        return loop.Result(Path("runs"), {}, [], interrupted=False)

    monkeypatch.setattr(loop, "run", run)
    return called


def test_no_flag_at_all(command, configs):
    assert command() == (0, "", "")
    assert configs == [Config()]


def test_every_flag(command, configs):
    flags = (
        "--dataset mnist --data-dir some/folder --model lenet --epochs 3 --batch-size 7"
        " --optimizer momentum --learning-rate 0.5 --schedule constant --weight-decay 0.25"
        " --shift 2 --precision bfloat16 --gradients autodiff --verify-gradients --devices 1"
        " --seed 5 --out here"
    )
    assert command(*flags.split()) == (0, "", "")
    assert configs == [
        Config(
            dataset="mnist",
            data_dir=Path("some/folder"),
            model="lenet",
            epochs=3,
            batch_size=7,
            optimizer="momentum",
            learning_rate=0.5,
            schedule="constant",
            weight_decay=0.25,
            shift=2,
            precision="bfloat16",
            gradients="autodiff",
            verify_gradients=True,
            devices=1,
            seed=5,
            out=Path("here"),
        )
    ]


def script(name):
    """The main function of a script: runs the file as Python does."""

    def main(arguments):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [name, *arguments])
            if name.endswith(".py"):
                runpy.run_path(str(ROOT / name), run_name="__main__")
            else:
                runpy.run_module(name, run_name="__main__", alter_sys=True)

    return main


@pytest.mark.parametrize("name", ["scripts/train.py", "jaxconv.train"])
def test_script_and_module_are_the_same_command(command, configs, name):
    assert command("--epochs", 2, main=script(name)) == (0, "", "")
    assert configs == [Config(epochs=2)]


def test_help_names_every_flag_and_default(command):
    status, out, err = command("--help", main=script("jaxconv.train"))
    assert (status, err) == (0, "")
    for field in Config.__dataclass_fields__:
        assert f"--{field.replace('_', '-')}" in out
    for default in ("digits", "convnet", "40", "32", "adamw", "0.002", "cosine", "hand"):
        assert f"(default: {default})" in out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--no-such-flag"], "--no-such-flag"),
        (["epochs"], "epochs"),
        (["--epochs"], "--epochs"),
        (["--epochs", "three"], "three"),
        (["--model", "resnet"], "resnet"),
        (["--epochs", "0"], "--epochs must be at least 1, not 0"),
        (["--batch-size", "9", "--devices", "2"], "--batch-size 9 cannot be shared by --devices 2"),
        (["--precision", "float16"], "float16"),
        (["--resume"], "--resume"),
        (["--seed", "-1"], "--seed must be at least 0, not -1"),
    ],
)
def test_bad_usage(command, configs, arguments, named):
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert named in err
    assert "Traceback" not in err
    assert configs == []


def test_an_output_folder_in_use_is_left_as_it_is(command, tmp_path):
    (tmp_path / "metrics.csv").write_text("mine")
    status, out, err = command("--out", tmp_path)
    assert (status, out) == (2, "")
    assert err == f"train: --out {tmp_path} already exists and is not an empty folder\n"
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.csv"]
    assert (tmp_path / "metrics.csv").read_text() == "mine"


def test_a_run_that_goes_on_is_as_it_was_begun_but_for_what_is_said_anew(
    command, configs, tmp_path
):
    begun = Config(model="lenet", batch_size=30, learning_rate=0.5, out=tmp_path)
    record.save_config(tmp_path / "config.json", begun)
    kept = dataclasses.replace(begun, weight_decay=begun.decay, resume=tmp_path)
    assert command("--resume", tmp_path) == (0, "", "")
    assert command("--epochs", 99, f"--resume={tmp_path}", "--data-dir", "there") == (0, "", "")
    assert configs == [kept, dataclasses.replace(kept, epochs=99, data_dir=Path("there"))]


def test_a_folder_that_is_of_no_run(command, configs, tmp_path):
    message = f"{tmp_path} is not an output folder of a run: config.json: No such file or directory"
    assert command("--resume", tmp_path) == (2, "", f"train: {message}\n")
    assert configs == []


def test_devices_are_made_before_jax_has_looked(command, configs, monkeypatch):
    made = []
    monkeypatch.setattr(processes.devices, "make_cpus", made.append)
    assert command("--devices", 4)[0] == 0
    assert command()[0] == 0
    assert made == [4]


def test_missing_data(command, tmp_path):
    folder, out = tmp_path / "nowhere", tmp_path / "out"
    status, _, err = command("--dataset", "fashion-mnist", "--data-dir", folder, "--out", out)
    assert status == 2
    assert err == f"train: {folder}/train-images-idx3-ubyte.gz does not exist\n"
    assert not out.exists()


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (GradientMismatchError("conv1.w is off"), 1, "train: conv1.w is off\n"),
        (loop.DivergedError("the loss is nan"), 1, "train: the loss is nan\n"),
        (MissingExtraError("x is missing"), 2, "train: x is missing\n"),
        (ValueError("a bad value"), 2, "train: a bad value\n"),
        (PermissionError(13, "denied", "there"), 2, "train: there: denied\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=lambda case: type(case).__name__ if isinstance(case, BaseException) else "",
)
def test_what_went_wrong_is_said_in_one_line(command, monkeypatch, error, status, said):
    def run(config):
        raise error

    monkeypatch.setattr(loop, "run", run)
    assert command() == (status, "", said)


def test_mistakes_of_ours_keep_their_traceback(command, monkeypatch):
    def run(config):
        raise TypeError("unexpected")

    monkeypatch.setattr(loop, "run", run)
    with pytest.raises(TypeError, match="unexpected"):
        command()


def test_interrupted(command, monkeypatch):
    result = loop.Result(Path("runs"), {}, [], interrupted=True)
    monkeypatch.setattr(loop, "run", lambda config: result)
    assert command() == (130, "", "")


def test_a_signal_to_end_is_an_interrupt(command, monkeypatch):
    """As schedulers send it: what there is is saved, and the status is that of Ctrl-C."""
    ended = []

    def run(config):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except KeyboardInterrupt:
            ended.append(config)
        return loop.Result(Path("runs"), {}, [], interrupted=True)

    monkeypatch.setattr(loop, "run", run)
    assert command() == (130, "", "")
    assert ended == [Config()]


def test_a_run_goes_on_from_another_folder(tmp_path, command, configs, monkeypatch):
    """Its data set was named from the folder where it began."""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    config = Config(dataset="data")
    (tmp_path / "out").mkdir()
    record.save_config(tmp_path / "out" / "config.json", config)
    few = np.zeros((1, 4, 4, 1), np.uint8), np.zeros(1, np.int32)
    few = Dataset(*few, *few, classes=1)
    record.save_data(tmp_path / "out" / record.DATA, config, few, few.fingerprint)
    monkeypatch.chdir("/")
    assert command("--resume", tmp_path / "out")[0] == 0
    assert configs[0].dataset == str(tmp_path / "data")
