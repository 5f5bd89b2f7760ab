"""How the images of a data set are changed at random, where the user has not said it."""

import dataclasses
from typing import Any

from jaxconv.train.config import Config
from jaxconv.train.data.blocks import extremes
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.data.sources import has_pictures
from jaxconv.train.recipes import PHOTOGRAPHS

NONE: dict[str, float] = {
    "shift": 0,
    "flip": False,
    "crop": 1.0,
    "rotate": 0.0,
    "color": 0.0,
    "cutout": 0,
    "mixup": 0.0,
    "normalize": False,
}

EIGHTH = 8
"""Pictures of objects are shifted by one part in this many of their height."""


def decided(config: Config, dataset: Dataset) -> Config:
    """Return the configuration with every change that its recipe decides.

    Raises:
        ValueError: a change does not fit the images.
    """
    recipe = _recipe(config, dataset)
    missing = {name: value for name, value in recipe.items() if getattr(config, name) is None}
    made = dataclasses.replace(config, **missing)
    _check(made, dataset)
    return made


def said(config: Config) -> str:
    """Say in some words how the training images are changed."""
    words = {
        "crop": f"cut to {config.crop:.0%} or more",
        "flip": "flipped",
        "rotate": f"rotated by {config.rotate:g}° or less",
        "shift": f"shifted by {config.shift} or less",
        "color": f"coloured by {config.color:.0%} or less",
        "normalize": "normalised",
        "cutout": f"{config.cutout} × {config.cutout} blanked",
        "mixup": f"mixed by Beta({config.mixup:g}, {config.mixup:g})",
    }
    return ", ".join(text for name, text in words.items() if getattr(config, name) != NONE[name])


def _recipe(config: Config, dataset: Dataset) -> dict[str, Any]:
    """Return the changes of a recipe, by the names of the flags.

    A recipe for a whole run has set its changes already.
    """
    name = config.recipe
    if name == "auto":
        name = "photographs" if has_pictures(config.dataset) else "digits"
        name = "objects" if config.dataset == "cifar10" else name
    height = dataset.train_images.shape[1]
    recipes: dict[str, dict[str, Any]] = {
        "none": {},
        "digits": {"shift": 1},
        "objects": {"shift": height // EIGHTH, "flip": True, "normalize": True},
        "photographs": PHOTOGRAPHS,
    }
    return NONE | recipes.get(name, {})


def _check(config: Config, dataset: Dataset) -> None:
    """Raise ValueError if a change does not fit the images."""
    _, height, width, _ = dataset.train_images.shape
    for name in ("shift", "cutout"):
        most = getattr(config, name)
        if most >= min(height, width):
            raise ValueError(f"--{name} {most} must be smaller than the images, {height} × {width}")
    if config.color and dataset.train_images.dtype.kind == "f":
        low, high = extremes(dataset.train_images)
        if low < 0 or high > 1:
            raise ValueError(
                f"--color {config.color} needs images with values from 0 to 1, but got values from"
                f" {low:g} to {high:g}"
            )
