"""`diverged.npz`: the step in which the loss became NaN or infinite."""

from pathlib import Path

import jax
import numpy as np
from jax import Array

from jaxconv._core.files import replacing

DIVERGED = "diverged.npz"
"""The file with the step in which the loss became NaN or infinite."""


def save_diverged(path: Path, batch: tuple[Array, Array], before: object) -> None:
    """Save the images and labels of a step, and each array of the state of training before it."""
    images, labels = batch
    state = {
        jax.tree_util.keystr(place, simple=True, separator="."): leaf
        for place, leaf in jax.tree.leaves_with_path(before)
    }
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, images=images, labels=labels, **state)
