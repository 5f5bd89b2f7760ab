"""The optimisers by name, taken from optax."""

from collections.abc import Callable
from typing import Any

import jax

from jaxconv._core.extras import needs
from jaxconv._core.types import Function
from jaxconv.models import Params
from jaxconv.train.config import Config

with needs("train"):
    import optax

MOMENTUM = 0.9

Rule = Callable[[object], object]  # from a learning rate or its schedule to an optimiser
RULES: dict[str, Rule] = {
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=MOMENTUM),
    "nesterov": lambda rate: optax.sgd(rate, momentum=MOMENTUM, nesterov=True),
    "rmsprop": optax.rmsprop,
    "adam": optax.adam,
}
# These shrink a kernel directly and not through its gradient.
DECAYING: dict[str, Function] = {"adamw": optax.adamw, "lion": optax.lion}


def schedule_of(config: Config, steps: int) -> Function:
    """Return the learning rate as a function of the number of the step, from 0 to steps − 1."""
    rising = round(config.warmup * steps / config.epochs)
    if config.schedule == "cosine":
        rate = optax.cosine_decay_schedule(config.learning_rate, steps - rising)
    else:
        rate = optax.constant_schedule(config.learning_rate)
    if not rising:
        return rate
    # The first step of the rise is not lost: it has 1/rising of the rate, and not 0.
    rise = optax.linear_schedule(config.learning_rate / rising, config.learning_rate, rising - 1)
    return optax.join_schedules([rise, rate], [rising])


def make_optimizer(config: Config, steps: int) -> Any:
    """Return the optimiser that the configuration names, for a run of this many steps."""
    constant = config.schedule == "constant" and not config.warmup
    rate = config.learning_rate if constant else schedule_of(config, steps)
    clip = () if config.clip is None else (optax.clip_by_global_norm(config.clip),)
    if config.optimizer in DECAYING:
        rule = DECAYING[config.optimizer](rate, weight_decay=config.decay, mask=_kernels)
        return optax.chain(*clip, rule) if clip else rule
    decay = optax.add_decayed_weights(config.decay, mask=_kernels)
    return optax.chain(*clip, decay, RULES[config.optimizer](rate))


def _kernels(params: Params) -> object:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
