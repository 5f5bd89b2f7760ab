"""Runs that take a moment."""

import jax
import numpy as np
import pytest
from networks import TINY
from train.runs import train

from jaxconv.models import MODELS
from jaxconv.train import Config, data, pictures, report, trainer
from jaxconv.train.batch import NO_IMAGE
from jaxconv.train.data import load
from jaxconv.train.loss import Counts


@pytest.fixture
def small(monkeypatch):
    """A configuration that compiles and trains in a moment; few pixels, few epochs."""
    digits = load(Config())
    few = data.Dataset(
        digits.train_images[:100],
        digits.train_labels[:100],
        digits.test_images[:30],
        digits.test_labels[:30],
        digits.classes,
    )
    monkeypatch.setattr(data, "load", lambda config: few)
    monkeypatch.setitem(MODELS, "convnet", TINY)
    return {"epochs": 2, "batch_size": 32, "shift": 0}


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing takes longer than a small run."""
    for name in ("draw_batch", "draw_curves", "draw_layers"):
        monkeypatch.setattr(pictures, name, lambda path, *args: path.touch())
    monkeypatch.setattr(report, "make_report", lambda *args: "")


@pytest.fixture
def seen(small, no_pictures, monkeypatch):
    """Trains without computing anything; what the steps and the evaluations got."""
    steps, evaluations = [], []

    def step(after, batch, key, taken):
        images, labels, indices = batch
        assert len(images) == len(labels) == 100
        steps.append((np.array(indices), taken, jax.random.key_data(key).tolist()))
        count = np.sum(indices != NO_IMAGE)
        return after, Counts(count, 7.0 * len(steps), count, 0)

    def evaluate(params, batch):
        images, labels, indices = batch
        assert len(images) == len(labels) == 30
        evaluations.append(np.array(indices))
        count = np.sum(indices != NO_IMAGE)
        return Counts(count, 0.0, count, 3)

    monkeypatch.setattr(trainer, "make_step", lambda *args: step)
    monkeypatch.setattr(trainer, "make_evaluation", lambda *args: evaluate)
    monkeypatch.setattr(trainer, "compiled", lambda function, *args: function)

    def record_run(out, **fields):
        steps.clear()
        evaluations.clear()
        result, _ = train(**(small | fields), out=out)
        return result, list(steps), list(evaluations)

    return record_run
