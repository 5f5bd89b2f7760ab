"""What the settings of a run may be."""

import math
from typing import TYPE_CHECKING, Literal, get_args, get_origin, get_type_hints

from jaxconv.models import MODELS
from jaxconv.train.flags import flag

if TYPE_CHECKING:
    from jaxconv.train.config import Config

MOST_SIDE = 4096
"""The largest height and width that pictures are scaled to."""

LEAST = {
    "epochs": 1,
    "batch_size": 1,
    "accumulate": 1,
    "patience": 1,
    "validation": 1,
    "shift": 0,
    "cutout": 0,
    "rotate": 0,
    "mixup": 0,
    "devices": 1,
    "processes": 1,
    "process_id": 0,
    "seed": 0,
    "weight_decay": 0,
}
"""The smallest numbers."""

ABOVE_ZERO = ("learning_rate", "clip", "memory")
SHARES = ("label_smoothing", "ema")
"""At least 0 and below 1."""


def check(config: "Config") -> None:
    """Raise ValueError for a choice that there is not, or an invalid number.

    The message names the first one that is found.
    """
    _check_choices(config)
    _check_numbers(config)
    _check_processes(config)
    if config.batch_size % (config.devices * config.accumulate):
        also = f" and --accumulate {config.accumulate}" if config.accumulate > 1 else ""
        raise ValueError(
            f"--batch-size {config.batch_size} cannot be shared by --devices {config.devices}{also}"
        )


def _check_choices(config: "Config") -> None:
    if config.model not in MODELS and ":" not in config.model:
        raise ValueError(
            f"--model must be one of {', '.join(MODELS)}, or MODULE:NAME, not {config.model!r}"
        )
    for name, annotation in get_type_hints(type(config)).items():
        choices = get_args(annotation) if get_origin(annotation) is Literal else ()
        if choices and getattr(config, name) not in choices:
            raise ValueError(
                f"{flag(name)} must be one of {', '.join(choices)}, not {getattr(config, name)!r}"
            )


def _check_processes(config: "Config") -> None:
    given = (config.processes is not None, config.process_id is not None)
    if config.coordinator is None or config.coordinator == "auto":
        if any(given):
            raise ValueError("--processes and --process-id need --coordinator HOST:PORT")
        return
    host, _, port = config.coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(f"--coordinator must be HOST:PORT or auto, not {config.coordinator!r}")
    if config.processes is None or config.process_id is None:
        raise ValueError("--coordinator HOST:PORT needs --processes and --process-id")
    if config.process_id >= config.processes:
        raise ValueError(
            f"--process-id must be below --processes, but is {config.process_id} of"
            f" {config.processes}"
        )


def _check_numbers(config: "Config") -> None:
    given = {name: value for name, value in vars(config).items() if value is not None}
    for name, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{flag(name)} must be finite, not {value}")
        if name in LEAST and value < LEAST[name]:
            raise ValueError(f"{flag(name)} must be at least {LEAST[name]}, not {value}")
        if name in ABOVE_ZERO and not value > 0:
            raise ValueError(f"{flag(name)} must be above 0, not {value}")
        if name in SHARES and not 0 <= value < 1:
            raise ValueError(f"{flag(name)} must be at least 0 and below 1, not {value}")
    if config.image_size is not None and not 4 <= config.image_size <= MOST_SIDE:
        raise ValueError(f"--image-size must be from 4 to {MOST_SIDE}, not {config.image_size}")
    if config.crop is not None and not 0 < config.crop <= 1:
        raise ValueError(f"--crop must be above 0 and at most 1, not {config.crop}")
    if config.color is not None and not 0 <= config.color <= 1:
        raise ValueError(f"--color must be from 0 to 1, not {config.color}")
    if config.rotate is not None and config.rotate > 180:
        raise ValueError(f"--rotate must be at most 180, not {config.rotate}")
    if not 0 <= config.warmup < config.epochs:
        raise ValueError(f"--warmup must be from 0 to --epochs, not {config.warmup}")
    if config.seed >= 2**32:  # of a larger seed JAX uses only the last 32 bits
        raise ValueError(f"--seed must be below 2**32, not {config.seed}")
