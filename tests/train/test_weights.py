"""Runs that start from the arrays of a file."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from networks import TINY, variables
from train.runs import train

from jaxconv.models import MODELS, described
from jaxconv.models.leaves import by_name
from jaxconv.train import Config, cli, record


def small_network(layers, x):
    x = layers.relu(layers.batch_norm("bn1", layers.conv("conv1", x, 4, 3, stride=2)))
    return layers.logits("fc", layers.global_avg_pool(x))


@pytest.fixture
def narrow(small, no_pictures, monkeypatch):
    """A network with state that compiles in a moment, in the place of a larger one."""
    monkeypatch.setitem(MODELS, "resnet20", described(small_network))
    return small | {"model": "resnet20", "epochs": 1}


def saved(path, classes=10):
    made = variables(MODELS["resnet20"], image_shape=(8, 8, 1), classes=classes)
    record.save_variables(path, made)
    return by_name(made)


def assert_equal(got, wanted):
    assert got.keys() == wanted.keys()
    for name in got:
        np.testing.assert_array_equal(got[name], wanted[name], err_msg=name)


def test_the_run_starts_there_and_goes_on_without_the_file(narrow, tmp_path):
    path = tmp_path / "a.safetensors"
    given = saved(path)
    # A step of this rate changes no parameter, but the averages and the numbers of batches.
    result, printed = train(
        **narrow, weights=path, optimizer="sgd", learning_rate=1e-30, out=tmp_path / "run"
    )
    got = by_name(result.variables)
    assert_equal(
        {name: leaf for name, leaf in got.items() if not name.startswith("state/")},
        {name: leaf for name, leaf in given.items() if not name.startswith("state/")},
    )
    assert got["state/bn1.batches"] == given["state/bn1.batches"] + 4
    assert f"it starts from {len(given)} of the {len(given)} arrays of {path} (our own names)" in (
        " ".join(printed.split())
    )
    assert json.loads((tmp_path / "run" / "config.json").read_text())["weights"] == str(path)
    assert record.load_config(tmp_path / "run").weights == path

    path.unlink()  # what goes on has its checkpoint
    begun = dataclasses.replace(record.begun(result.folder), epochs=2, resume=result.folder)
    result, printed = train(**vars(begun))
    assert len(result.epochs) == 2
    assert "starts from" not in printed


def test_other_classes(narrow, tmp_path):
    path = tmp_path / "a.safetensors"
    given = saved(path, classes=3)
    settings = narrow | {"optimizer": "sgd", "learning_rate": 1e-30}
    result, printed = train(**settings, weights=path, out=tmp_path / "run")
    new = MODELS["resnet20"].init(jax.random.key(0), image_shape=(8, 8, 1), classes=10)[0]
    np.testing.assert_array_equal(result.params["conv1"]["w"], given["conv1.w"])
    np.testing.assert_array_equal(result.params["fc"]["w"], new["fc"]["w"])
    assert "new: fc, for 10 classes instead of 3" in " ".join(printed.split())


def test_a_file_that_does_not_fit(narrow, tmp_path):
    path, out = tmp_path / "a.safetensors", tmp_path / "run"
    record.save_variables(path, variables(TINY, image_shape=(8, 8, 1), classes=10))
    with pytest.raises(
        ValueError, match=f"--weights {path} has .* does not fit resnet20: .*missing"
    ):
        train(**narrow, weights=path, out=out)
    with pytest.raises(ValueError, match=f"--weights {tmp_path / 'no'}: No such file or directory"):
        train(**narrow, weights=tmp_path / "no", out=out)
    assert not out.exists()


def test_the_command_says_so_in_one_line(narrow, tmp_path, capsys):
    path = tmp_path / "net.pth"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(SystemExit) as stop:
        cli.main(["--weights", str(path), "--out", str(tmp_path / "run")])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"train: --weights {path} is a pickle, which can run any code, so")


def test_a_run_that_ended_before_its_first_checkpoint_needs_it(narrow, tmp_path):
    path, out = tmp_path / "a.safetensors", tmp_path / "run"
    saved(path)
    result, _ = train(**narrow, weights=path, out=out)
    for left in (out / "checkpoints").iterdir():
        left.rename(tmp_path / left.name)
    begun = dataclasses.replace(record.begun(out), resume=out)
    again, printed = train(**vars(begun))
    assert_equal(by_name(again.variables), by_name(result.variables))
    assert "it starts from" in printed


def test_configurations_of_earlier_versions_have_no_such_setting(narrow, tmp_path):
    record.save_config(tmp_path / "config.json", Config())
    values = json.loads((tmp_path / "config.json").read_text())
    del values["weights"]
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert record.load_config(tmp_path).weights is None
