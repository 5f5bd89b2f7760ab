"""What training starts from: the arrays of a file, with a new last layer for other classes."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxconv._core import tensors
from jaxconv.convert.equations import Equations, equations
from jaxconv.convert.recognized import Recognized, recognized, shapes_of, whose
from jaxconv.convert.sizes import depending
from jaxconv.models import Model, Variables
from jaxconv.models.leaves import by_name, from_names


class Start(NamedTuple):
    """The arrays of a file.

    Attributes:
        leaves: those that a run starts from, with our names.
        said: what a run says of them.
    """

    leaves: dict[str, np.ndarray]
    said: str

    def into(self, variables: Variables) -> Variables:
        """Return the variables with these arrays in the places of theirs, in their dtypes."""
        taken = {
            name: jnp.asarray(self.leaves[name], leaf.dtype) if name in self.leaves else leaf
            for name, leaf in by_name(variables).items()
        }
        return from_names(variables, taken)


def start(path: Path, name: str, model: Model, image_shape: tuple[int, ...], classes: int) -> Start:
    """Return what a file has for a network; all but its last layer if that is for other classes.

    The last layer is what has another shape if there is another number of classes.

    Args:
        path: a safetensors file with the names of torchvision, of timm, or ours.
        name: the name of the network.
        model: the network.
        image_shape: the shape of its images.
        classes: as many as the network is to tell apart.

    Raises:
        ValueError: the file does not fit the network.
        OSError: the file cannot be read.
    """

    @cache
    def shapes(channels: int, classes: int) -> Variables:
        return shapes_of(model, image_shape, classes)

    def ours(classes: int) -> Equations:
        return equations(shapes(0, classes), None)

    found = recognized(str(path), name, shapes, tensors.read(path))
    new = [] if found.classes == classes else depending(ours, classes)
    leaves = {name: leaf for name, leaf in found.leaves.items() if name not in new}
    return Start(leaves, _said(path, found, new, classes))


def _said(path: Path, found: Recognized, new: list[str], classes: int) -> str:
    said = (
        f"it starts from {len(found.leaves) - len(new)} of the {len(found.leaves)} arrays of {path}"
        f" ({whose(found.source)} names)"
    )
    if not new:
        return said
    layers = dict.fromkeys(name.rpartition(".")[0] or name for name in new)
    return f"{said}; new: {', '.join(layers)}, for {classes} classes instead of {found.classes}"
