"""Whole settings by name: `--recipe mnist` is a data set, a network, and how it is trained."""

from typing import Any

from jaxconv.train.config import Config

PHOTOGRAPHS: dict[str, Any] = {"crop": 0.5, "flip": True, "color": 0.2, "normalize": True}

NAMED: dict[str, dict[str, Any]] = {
    "mnist": {
        "dataset": "mnist",
        "model": "convnet",
        "epochs": 12,
        "batch_size": 128,
        "learning_rate": 3e-3,
        "warmup": 0.5,
        "shift": 2,
        "rotate": 10.0,
        "ema": 0.999,
        "label_smoothing": 0.05,
    },
    "fashion-mnist": {
        "dataset": "fashion-mnist",
        "model": "convnet",
        "epochs": 14,
        "batch_size": 128,
        "learning_rate": 3e-3,
        "warmup": 0.5,
        "shift": 2,
        "flip": True,
        "cutout": 8,
        "ema": 0.999,
        "label_smoothing": 0.05,
    },
    # He et al. (2015), section 4.2, in fewer epochs.
    "cifar10": {
        "dataset": "cifar10",
        "model": "resnet20",
        "epochs": 60,
        "batch_size": 128,
        "optimizer": "nesterov",
        "learning_rate": 0.1,
        "warmup": 2.0,
        "weight_decay": 5e-4,
        "shift": 4,
        "flip": True,
        "normalize": True,
        "ema": 0.999,
    },
    # One's own photographs, beside --dataset FOLDER and --weights FILE.
    "fine-tune": {
        "model": "resnet18",
        "image_size": 128,
        "epochs": 10,
        "learning_rate": 3e-4,
        "warmup": 1.0,
        "label_smoothing": 0.1,
        **PHOTOGRAPHS,
    },
    # The notebook of "Backpropagation in a Convolutional Neural Network" (Demystifying Deep
    # Learning 9): 390 steps of 128 images. Its penalty is λ/(2m)·ΣW² with λ = 2 and m = 128.
    "demystified": {
        "dataset": "mnist",
        "validation": 60_000 - 390 * 128,
        "model": "demystified",
        "epochs": 1,
        "batch_size": 128,
        "optimizer": "momentum",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "weight_decay": 2 / 128,
    },
}
"""The fields of the configuration that a recipe sets; flags beside it change them."""


def recipe(name: str, **fields: Any) -> Config:
    """Return the settings of a recipe, changed by these fields.

    Example:
        config = recipe("mnist", epochs=2)

    Raises:
        ValueError: a field has a value that it cannot have.
        TypeError: there is no such field.
    """
    return Config(**{"recipe": name, **NAMED.get(name, {}), **fields})
