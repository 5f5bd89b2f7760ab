"""How a run ends: at its best, too early, or with an error."""

import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from networks import TINY
from train.runs import BEGUN, train

import jaxconv
from jaxconv.models import Variables
from jaxconv.train import Config, data, load_params, pictures, record, report, trainer
from jaxconv.train.loss import Answers, counted
from jaxconv.train.points import DivergedError
from jaxconv.train.record import Epoch


def test_the_best_epoch_is_kept(small, no_pictures, monkeypatch, tmp_path):
    """Of equal accuracies, the one with the lower loss."""
    result, _ = train(**(small | {"epochs": 4, "learning_rate": 0.05}), out=tmp_path)
    best = record.best_of(result.epochs)
    kept = load_params(tmp_path / "best.safetensors")
    if best.epoch == 4:
        assert jax.tree.all(jax.tree.map(np.array_equal, kept, result.params))
    else:
        assert not jax.tree.all(jax.tree.map(np.array_equal, kept, result.params))
    equal = [Epoch(1, 1, 1, 0.5, 1, 0.9), Epoch(2, 1, 1, 0.7, 1, 0.9), Epoch(3, 1, 1, 0.7, 1, 0.8)]
    assert record.best_of(equal).epoch == 3


def test_the_best_epoch_is_shown(small, no_pictures, monkeypatch, tmp_path):
    """In the report and in the picture of the layers, as predict takes it."""
    shown = []
    monkeypatch.setattr(report, "make_report", lambda *args: shown.append(args[3].params) or "")
    draw = lambda path, model, variables, *args: shown.append(variables.params) or path.touch()  # noqa: E731
    monkeypatch.setattr(pictures, "draw_layers", draw)
    # After the first epoch everything gets worse.
    best_first = lambda epochs: epochs[0]  # noqa: E731
    monkeypatch.setattr(record, "best_of", best_first)
    result, _ = train(**(small | {"learning_rate": 0.05}), out=tmp_path)
    best = load_params(tmp_path / "best.safetensors")
    for params in shown:
        assert jax.tree.all(jax.tree.map(np.array_equal, params, best))
    assert not jax.tree.all(jax.tree.map(np.array_equal, best, result.params))
    assert len(shown) == 2


def test_a_run_that_does_not_get_better_stops(small, no_pictures, monkeypatch, tmp_path):
    monkeypatch.setattr(trainer, "make_optimizer", lambda *args: optax.set_to_zero())
    fields = small | {"epochs": 9, "patience": 2, "out": tmp_path / "run"}
    result, text = train(**fields)
    assert [epoch.epoch for epoch in result.epochs] == [1, 2, 3]
    assert (
        "stopped: the accuracy on the held-out images has not risen for 2 epochs; the best" in text
    )
    # It is not continued, but what is missing is written.
    (tmp_path / "run" / "params.safetensors").unlink()
    again, text = train(**fields, resume=tmp_path / "run")
    assert len(again.epochs) == 3
    assert (tmp_path / "run" / "params.safetensors").exists()


def test_a_crash_while_drawing_leaves_the_numbers(seen, monkeypatch, tmp_path):
    def fail(path, *args):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(pictures, "draw_curves", fail)
    monkeypatch.setattr(record, "make_folder", lambda config: tmp_path)
    with pytest.raises(OSError, match="disk full"):
        seen(tmp_path)
    left = ["best.safetensors", "checkpoints", "metrics.csv", "params.safetensors"]
    assert sorted(os.listdir(tmp_path)) == sorted([*BEGUN, *left])


def test_a_run_that_diverges_ends_and_says_so(small, tmp_path):
    message = (
        rf"^the loss is (nan|inf) in step \d of epoch 1; {re.escape(str(tmp_path))}/diverged.npz"
        " has its batch and what was learnt before it; a smaller --learning-rate may help$"
    )
    with pytest.raises(DivergedError, match=message) as error:
        train(**small, learning_rate=1e30, optimizer="sgd", out=tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*BEGUN, "diverged.npz"])
    with np.load(tmp_path / "diverged.npz") as saved:
        assert saved["images"].shape == (32, 8, 8, 1)
        params: dict = {}
        for name in saved.files:
            if name.startswith("variables.params."):
                *_, layer, leaf = name.split(".")
                params.setdefault(layer, {})[leaf] = saved[name]
        # It was this step: with what was learnt before it, this batch gives this loss.
        batch = jnp.asarray(saved["images"]), jnp.asarray(saved["labels"])
    counts, _ = counted(TINY, jaxconv, Variables(params, {}), batch[0], Answers(batch[1]))
    assert f"the loss is {float(counts.loss / counts.weight)} in step" in str(error.value)


@pytest.mark.parametrize("bad", [0, 14])
def test_a_bad_step_is_the_one_that_is_saved(small, no_pictures, monkeypatch, tmp_path, bad):
    """Whatever its place, and before the epoch has ended."""
    digits = data.load(Config())
    order = np.random.default_rng((0, 1)).permutation(100)
    images = np.array(digits.train_images)
    images[order[6 * bad]] = np.nan
    monkeypatch.setattr(data, "load", lambda config: digits._replace(train_images=images))
    with pytest.raises(DivergedError, match=rf"the loss is nan in step {bad + 1} of epoch 1;"):
        train(**(small | {"batch_size": 6}), out=tmp_path)
    with np.load(tmp_path / "diverged.npz") as saved:
        assert np.isnan(saved["images"][0]).all()
        np.testing.assert_array_equal(saved["labels"], digits.train_labels[order[6 * bad :][:6]])
        assert all(np.isfinite(saved[name]).all() for name in saved.files if name != "images")
