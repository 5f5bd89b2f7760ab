import csv
import json
import os
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from networks import TINY, parameters

import jaxconv
from jaxconv.models import Variables
from jaxconv.train import Config, load_params, record
from jaxconv.train.record import Epoch, make_folder

EPOCHS = [Epoch(1, 1 / 3, 0.25, 0.1, 12345.678), Epoch(2, float("nan"), 1.0, 1e-9, 1e9)]
PARAMS = parameters(TINY, image_shape=(4, 4, 1), classes=3)
STATE = {"norm": {"mean": np.float32([0.5, np.nan]), "batches": np.int32(7)}}
VARIABLES = Variables(PARAMS, STATE)


def listing(folder):
    """Every file, hidden ones too."""
    return sorted(os.listdir(folder))


@pytest.mark.parametrize(
    ("name", "write", "spoilt"),
    [
        ("config.json", lambda p: record.save_config(p, Config()), "json.dumps"),
        ("metrics.csv", lambda p: record.save_metrics(p, EPOCHS), "csv.writer"),
        ("params", lambda p: record.save_variables(p, VARIABLES), "safetensors.numpy.save"),
    ],
)
def test_every_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch, name, write, spoilt):
    path = tmp_path / name
    write(path)
    before = path.read_bytes()

    def fail(*args, **keywords):
        raise OSError("disk full")

    monkeypatch.setattr(spoilt, fail)
    with pytest.raises(OSError, match="disk full"):
        write(path)
    assert path.read_bytes() == before
    assert listing(tmp_path) == [name]


def test_metrics_come_back_to_the_last_digit(tmp_path):
    path = tmp_path / "metrics.csv"
    record.save_metrics(path, EPOCHS)
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == list(Epoch._fields)
    back = [Epoch(int(row[0]), *map(float, row[1:])) for row in rows]
    assert repr(back) == repr(EPOCHS)
    for count in (2, 1, 0):
        assert repr(record.load_metrics(path, count)) == repr(EPOCHS[:count])
    with pytest.raises(
        ValueError, match=r"metrics.csv should have the epochs 1 to 3, but has 1, 2$"
    ):
        record.load_metrics(path, 3)
    for content in ("", "epoch\n1,2\n", "epoch\none,0,0,0,0\n", "a\n1,0,0,0,0\n3,0,0,0,0\n"):
        path.write_text(content)
        with pytest.raises(
            ValueError, match=r"metrics.csv (is not a table|should have the epochs 1 to 2)"
        ):
            record.load_metrics(path, 2)


def test_config_says_what_ran_on_what(tmp_path):
    config = Config(dataset="mnist", data_dir=Path("a") / "b", epochs=3, weight_decay=0.1)
    record.save_config(tmp_path / "config.json", config)
    values = json.loads((tmp_path / "config.json").read_text())
    environment = values.pop("environment")
    assert environment["jaxconv"] == jaxconv.__version__
    assert set(environment) == {"jaxconv", "jax", "python", "device"}
    assert values == {
        "dataset": "mnist",
        "data_dir": "a/b",
        "image_size": None,
        "skip_bad": False,
        "validation": None,
        "memory": None,
        "model": "convnet",
        "weights": None,
        "epochs": 3,
        "batch_size": 32,
        "optimizer": "adamw",
        "learning_rate": 0.002,
        "schedule": "cosine",
        "warmup": 0.0,
        "clip": None,
        "label_smoothing": 0.0,
        "class_weights": "equal",
        "accumulate": 1,
        "ema": 0.0,
        "patience": None,
        "weight_decay": 0.1,
        "recipe": "auto",
        "shift": None,
        "flip": None,
        "crop": None,
        "rotate": None,
        "color": None,
        "cutout": None,
        "mixup": None,
        "normalize": None,
        "precision": "float32",
        "gradients": "hand",
        "verify_gradients": False,
        "tensorboard": False,
        "devices": 1,
        "seed": 0,
        "out": None,
    }
    assert record.load_config(tmp_path) == config  # nothing is lost


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "config.json is not a configuration of a run: Expecting value"),
        ("[1]", "config.json is not a configuration of a run: "),
        ('{"environment": {}}', "config.json is not a configuration of a run: 'data_dir'"),
        (
            '{"environment": {}, "data_dir": null, "out": null, "colour": 3}',
            "config.json is not a configuration of a run: .*'colour'",
        ),
        (
            '{"environment": {}, "data_dir": null, "out": null, "epochs": 0}',
            "config.json is not a configuration of a run: --epochs must be at least 1, not 0",
        ),
        (
            '{"environment": {}, "data_dir": null, "out": null, "epochs": "3"}',
            "config.json is not a configuration of a run: ",
        ),
        (None, " is not an output folder of a run: config.json: No such file or directory"),
    ],
)
def test_folders_that_are_of_no_run(tmp_path, content, message):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        record.load_config(tmp_path)


@pytest.mark.parametrize(
    "fields", [{}, {"epochs": 9}, {"data_dir": Path("b")}, {"devices": 2}, {"verify_gradients": 1}]
)
def test_what_may_change_when_a_run_goes_on(tmp_path, fields):
    record.save_config(tmp_path / "config.json", Config(weight_decay=0.05))
    record.going_on(Config(weight_decay=0.05, resume=tmp_path, **fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "lenet"}, "--model is convnet there and cannot become lenet"),
        ({"out": Path("b")}, "--out is None there and cannot become b"),
        ({"batch_size": 7}, "--batch-size is 32 there and cannot become 7"),
    ],
)
def test_what_may_not(tmp_path, fields, message):
    record.save_config(tmp_path / "config.json", Config(weight_decay=0.05))
    with pytest.raises(ValueError, match=f"^--resume {tmp_path}: {message}$"):
        record.going_on(Config(weight_decay=0.05, resume=tmp_path, **fields))


def test_parameters_come_back_bit_for_bit(tmp_path):
    spoilt = {**PARAMS, "dense1": {**PARAMS["dense1"], "b": jnp.float32([-0.0, np.nan, np.inf])}}
    # Transposed: in memory not in the order in which it is written.
    spoilt["dense2"] = {**PARAMS["dense2"], "w": np.asarray(PARAMS["dense2"]["w"]).T}
    path = tmp_path / "params.safetensors"
    record.save_variables(path, Variables(spoilt, STATE))
    assert set(safetensors.numpy.load_file(path)) == {
        *(f"{layer}.{leaf}" for layer in ("conv1", "dense1", "dense2") for leaf in "wb"),
        *(f"state/norm.{leaf}" for leaf in ("mean", "batches")),
    }
    back = load_params(str(path))
    assert {layer: set(leaves) for layer, leaves in back.items()} == {
        layer: set(leaves) for layer, leaves in spoilt.items()
    }
    for layer, leaves in spoilt.items():
        for name, leaf in leaves.items():
            assert isinstance(back[layer][name], jnp.ndarray)
            assert back[layer][name].dtype == jnp.float32
            assert back[layer][name].shape == leaf.shape
            assert np.asarray(back[layer][name]).tobytes() == np.asarray(leaf).tobytes()
    variables = record.load_variables(path, like=Variables(spoilt, STATE))
    assert isinstance(variables, Variables)
    for got, want in zip(*map(jax.tree.leaves, (variables, Variables(spoilt, STATE))), strict=True):
        assert got.dtype == want.dtype
        assert np.asarray(got).tobytes() == np.asarray(want, order="C").tobytes()


@pytest.mark.parametrize(
    ("params", "state", "message"),
    [
        ({"dense2": PARAMS["dense2"]}, STATE, "conv1.b should be nothing, but is float32"),
        (PARAMS | {"new": {"w": np.zeros(2)}}, STATE, "new.w should be float64[2], but is nothing"),
        (PARAMS, {"norm": {"mean": STATE["norm"]["mean"]}},
         "state/norm.batches should be nothing, but is int32[]"),
        (PARAMS | {"dense1": {"b": np.zeros(4), "w": PARAMS["dense1"]["w"]}}, STATE,
         "dense1.b should be float64[4], but is float32[8]"),
    ],
)  # fmt: skip
def test_files_of_another_network(tmp_path, params, state, message):
    path = tmp_path / "file"
    record.save_variables(path, VARIABLES)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}"):
        record.load_variables(path, like=Variables(params, state))


def test_files_that_hold_no_parameters(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(FileNotFoundError, match="file"):
        load_params(path)
    for content in (b"", b"epoch,loss\n1,0.5\n", bytes(100)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="file is not a safetensors file: "):
            load_params(path)
    safetensors.numpy.save_file({"w": np.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"parameters are named layer.name, but got 'w'"):
        load_params(path)


def test_out_is_made_or_must_be_empty(tmp_path):
    new = tmp_path / "a" / "b"
    assert make_folder(Config(out=new)) == new
    assert new.is_dir()
    assert make_folder(Config(out=new)) == new
    # What a process that was killed had begun to write.
    (new / ".config.json.17.json").touch()
    assert make_folder(Config(out=new)) == new
    (new / ".config.json.17.json").unlink()
    (new / ".hidden").touch()
    (tmp_path / "file").write_text("kept")
    for path in (new, tmp_path / "file"):
        with pytest.raises(ValueError, match=f"--out {path} already exists and is not an empty"):
            make_folder(Config(out=path))
    assert listing(new) == [".hidden"]
    assert (tmp_path / "file").read_text() == "kept"


def test_runs_that_start_together_get_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [make_folder(Config(model="lenet", gradients="autodiff")) for _ in range(3)]
    assert len(set(folders)) == 3
    for folder in folders:
        assert folder.parent == Path("runs")
        assert folder.name.startswith("digits-lenet-autodiff-20")
        assert listing(folder) == []
