"""What the settings of a run may be."""

import math
from typing import TYPE_CHECKING, Literal, get_args, get_origin, get_type_hints

from jaxconv.train.flags import flag

if TYPE_CHECKING:
    from jaxconv.train.config import Config

MOST_SIDE = 4096
"""The largest height and width that pictures are scaled to."""

LEAST = {"epochs": 1, "batch_size": 1, "shift": 0, "devices": 1, "seed": 0}
"""The smallest whole numbers."""


def check(config: "Config") -> None:
    """Raise ValueError for a choice that there is not, or an invalid number.

    The message names the first one that is found.
    """
    _check_choices(config)
    _check_whole_numbers(config)
    _check_training(config)
    if config.batch_size % config.devices:
        raise ValueError(
            f"--batch-size {config.batch_size} cannot be shared by --devices {config.devices}"
        )


def _check_choices(config: "Config") -> None:
    for name, annotation in get_type_hints(type(config)).items():
        choices = get_args(annotation) if get_origin(annotation) is Literal else ()
        if choices and getattr(config, name) not in choices:
            raise ValueError(
                f"{flag(name)} must be one of {', '.join(choices)}, not {getattr(config, name)!r}"
            )


def _check_whole_numbers(config: "Config") -> None:
    if config.image_size is not None and not 4 <= config.image_size <= MOST_SIDE:
        raise ValueError(f"--image-size must be from 4 to {MOST_SIDE}, not {config.image_size}")
    for name, minimum in LEAST.items():
        if getattr(config, name) < minimum:
            raise ValueError(
                f"{flag(name)} must be at least {minimum}, not {getattr(config, name)}"
            )
    if config.seed >= 2**32:  # of a larger seed JAX uses only the last 32 bits
        raise ValueError(f"--seed must be below 2**32, not {config.seed}")


def _check_training(config: "Config") -> None:
    """Check how the parameters are trained, and for how long."""
    if not config.learning_rate > 0:
        raise ValueError(f"--learning-rate must be above 0, not {config.learning_rate}")
    if config.weight_decay is not None and not config.weight_decay >= 0:
        raise ValueError(f"--weight-decay must not be negative, not {config.weight_decay}")
    if not 0 <= config.warmup < config.epochs:
        raise ValueError(f"--warmup must be from 0 to --epochs, not {config.warmup}")
    if config.clip is not None and not config.clip > 0:
        raise ValueError(f"--clip must be above 0, not {config.clip}")
    if not 0 <= config.label_smoothing < 1:
        raise ValueError(
            f"--label-smoothing must be at least 0 and below 1, not {config.label_smoothing}"
        )
    if config.patience is not None and config.patience < 1:
        raise ValueError(f"--patience must be at least 1, not {config.patience}")
    for name in ("learning_rate", "weight_decay", "clip"):
        if getattr(config, name) == math.inf:
            raise ValueError(f"{flag(name)} must be finite, not inf")
