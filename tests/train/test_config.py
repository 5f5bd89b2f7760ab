import dataclasses
import re

import pytest

from jaxconv.models import MODELS
from jaxconv.train import Config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": 0}, "--epochs must be at least 1, not 0"),
        ({"batch_size": 0}, "--batch-size must be at least 1, not 0"),
        ({"shift": -1}, "--shift must be at least 0, not -1"),
        ({"seed": -1}, "--seed must be at least 0, not -1"),
        ({"seed": 2**32}, "--seed must be below 2**32, not 4294967296"),
        ({"learning_rate": 0.0}, "--learning-rate must be above 0, not 0.0"),
        ({"warmup": -1.0}, "--warmup must be from 0 to --epochs, not -1.0"),
        ({"warmup": 40.0}, "--warmup must be from 0 to --epochs, not 40.0"),
        ({"clip": 0.0}, "--clip must be above 0, not 0.0"),
        ({"clip": float("nan")}, "--clip must be finite, not nan"),
        ({"clip": float("inf")}, "--clip must be finite, not inf"),
        ({"label_smoothing": 1.0}, "--label-smoothing must be at least 0 and below 1, not 1.0"),
        ({"label_smoothing": -0.1}, "--label-smoothing must be at least 0 and below 1, not -0.1"),
        ({"patience": 0}, "--patience must be at least 1, not 0"),
        ({"image_size": 3}, "--image-size must be from 4 to 4096, not 3"),
        (
            {"optimizer": "ADAM"},
            "--optimizer must be one of sgd, momentum, nesterov, rmsprop, adam,"
            " adamw, lion, not 'ADAM'",
        ),
        ({"learning_rate": float("nan")}, "--learning-rate must be finite, not nan"),
        ({"learning_rate": float("inf")}, "--learning-rate must be finite, not inf"),
        ({"weight_decay": -0.1}, "--weight-decay must be at least 0, not -0.1"),
        ({"weight_decay": float("nan")}, "--weight-decay must be finite, not nan"),
        ({"weight_decay": float("inf")}, "--weight-decay must be finite, not inf"),
        ({"devices": 0}, "--devices must be at least 1, not 0"),
        ({"devices": 3}, "--batch-size 32 cannot be shared by --devices 3"),
        (
            {"devices": 2, "accumulate": 5},
            "--batch-size 32 cannot be shared by --devices 2 and --accumulate 5",
        ),
        ({"accumulate": 0}, "--accumulate must be at least 1, not 0"),
        ({"ema": 1.0}, "--ema must be at least 0 and below 1, not 1.0"),
        ({"memory": 0.0}, "--memory must be above 0, not 0.0"),
        ({"crop": 0.0}, "--crop must be above 0 and at most 1, not 0.0"),
        ({"crop": 1.1}, "--crop must be above 0 and at most 1, not 1.1"),
        ({"rotate": -1.0}, "--rotate must be at least 0, not -1.0"),
        ({"rotate": 181.0}, "--rotate must be at most 180, not 181.0"),
        ({"color": 1.5}, "--color must be from 0 to 1, not 1.5"),
        ({"cutout": -1}, "--cutout must be at least 0, not -1"),
        ({"mixup": -0.1}, "--mixup must be at least 0, not -0.1"),
        ({"mixup": float("nan")}, "--mixup must be finite, not nan"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_numbers_that_mean_nothing(fields, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Config(**fields)


def test_the_smallest_numbers_that_mean_something():
    Config(
        epochs=1, batch_size=1, shift=0, devices=1, seed=0, learning_rate=1e-30, weight_decay=0.0
    )
    Config(seed=2**32 - 1)


def test_a_run_cannot_change_under_way():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().epochs = 2


def test_models_by_name_and_of_ones_own():
    for name in (*MODELS, "package.module:network"):
        assert Config(model=name).model == name
    names = ", ".join(MODELS)
    message = f"--model must be one of {names}, or MODULE:NAME, not 'resnet'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Config(model="resnet")


@pytest.mark.parametrize(
    ("dataset", "title"),
    [("mnist", "mnist"), ("some/arrays.npz", "arrays"), ("here/pets/", "pets"), ("a/../b", "b")],
)
def test_a_data_set_in_a_word(dataset, title):
    assert Config(dataset=dataset).title == title


def test_the_folder_that_one_is_in_has_a_name(monkeypatch, tmp_path):
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path / "pets")
    assert Config(dataset=".").title == "pets"
