from functools import partial
from typing import get_args, get_type_hints

import jax
import numpy as np
import optax
import pytest

from jaxconv.train import Config
from jaxconv.train.optimizer import DECAYING, RULES, make_optimizer, schedule_of


def by_hand(config, steps, w, gradients, decays):
    """The published update rules, in numpy, for one array."""
    decay = config.weight_decay
    if decay is None:
        decay = 0.05 if config.optimizer == "adamw" else 0.0
    decay = decay if decays else 0.0
    m = v = np.zeros_like(w)
    for t, g in enumerate(gradients):
        rate = config.learning_rate
        if config.schedule == "cosine":
            rate *= (1 + np.cos(np.pi * t / steps)) / 2
        apart = config.optimizer in ("adamw", "lion")
        if not apart:
            g = g + decay * w
        match config.optimizer:
            case "sgd":
                update = g
            case "momentum":
                update = m = g + 0.9 * m
            case "nesterov":
                m = g + 0.9 * m
                update = g + 0.9 * m
            case "rmsprop":
                v = 0.9 * v + 0.1 * g**2
                update = g / np.sqrt(v + 1e-8)
            case "adam" | "adamw":
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
                update = (m / (1 - 0.9 ** (t + 1))) / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
            case "lion":
                update, m = np.sign(0.9 * m + 0.1 * g), 0.99 * m + 0.01 * g
        w = w - rate * (update + decay * w if apart else update)
    return w


@pytest.mark.parametrize("weight_decay", [None, 0.5])
@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [
        ("sgd", "cosine"),
        ("momentum", "cosine"),
        ("nesterov", "constant"),
        ("rmsprop", "cosine"),
        ("adam", "constant"),
        ("adamw", "cosine"),
        ("lion", "cosine"),
    ],
)
def test_optimizers_follow_their_rules_and_decay_kernels_alone(optimizer, schedule, weight_decay):
    config = Config(
        optimizer=optimizer, schedule=schedule, weight_decay=weight_decay, learning_rate=0.1
    )
    random = np.random.default_rng(0)
    start = {"dense1": {"w": random.standard_normal((3, 2)), "b": random.standard_normal(2)}}
    gradients = {
        "dense1": {"w": random.standard_normal((3, 3, 2)), "b": random.standard_normal((3, 2))}
    }

    @jax.jit
    def train(params, gradients):
        rule = make_optimizer(config, 4)
        state = rule.init(params)
        for t in range(3):
            updates, state = rule.update(
                jax.tree.map(lambda g, t=t: g[t], gradients), state, params
            )
            params = optax.apply_updates(params, updates)
        return params

    with jax.numpy_dtype_promotion("standard"):
        trained = train(start, gradients)
    for leaf in "wb":
        want = by_hand(
            config, 4, start["dense1"][leaf], gradients["dense1"][leaf], decays=leaf == "w"
        )
        # Optax computes a schedule and its bias corrections in float32.
        np.testing.assert_allclose(trained["dense1"][leaf], want, rtol=0, atol=2e-6)


def test_every_optimizer_can_be_chosen():
    assert set(get_args(get_type_hints(Config)["optimizer"])) == {*RULES, *DECAYING}


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_rate_rises_and_then_follows_its_schedule(schedule):
    config = Config(epochs=5, warmup=2, learning_rate=0.4, schedule=schedule)
    rates = [float(schedule_of(config, 20)(step)) for step in range(20)]
    np.testing.assert_allclose(rates[:8], 0.4 * np.arange(1, 9) / 8, rtol=1e-6)
    falling = (1 + np.cos(np.pi * np.arange(12) / 12)) / 2 if schedule == "cosine" else np.ones(12)
    np.testing.assert_allclose(rates[8:], 0.4 * falling, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("optimizer", ["sgd", "lion"])
def test_large_gradients_are_scaled_down_together(optimizer):
    params = {"a": np.zeros(2, np.float32), "b": np.zeros((2, 2), np.float32)}
    gradients = {"a": np.float32([3, 0]), "b": np.float32([[0, 4], [0, 0]])}

    def update(gradients, **fields):
        config = Config(optimizer=optimizer, learning_rate=0.5, weight_decay=0.0,
                        schedule="constant", **fields)  # fmt: skip
        rule = make_optimizer(config, 4)
        with jax.numpy_dtype_promotion("standard"):
            return rule.update(gradients, rule.init(params), params)[0]

    fifth = jax.tree.map(lambda g: g / 5, gradients)
    for clip, same in ((1.0, fifth), (6.0, gradients)):
        got, want = update(gradients, clip=clip), update(same)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), got, want)
