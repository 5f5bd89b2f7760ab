"""The arrays of a network, from and to the names and layouts of torchvision and timm."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.convert.equations import Arrays, equations, to_theirs
from jaxconv.convert.names import NETWORKS, Library
from jaxconv.convert.recognized import OURS, Recognized, recognized, shapes_of
from jaxconv.models import Variables, find
from jaxconv.models.leaves import by_name, from_names

SIDE = 64
"""Height and width of images; the shapes of the networks that are converted do not depend on it."""


def from_torch(model_name: str, leaves: Arrays) -> Variables:
    """Return the parameters and the state of a network of ours, from a `state_dict` of PyTorch.

    Example:
        leaves = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        params, state = from_torch("resnet18", leaves)

    Args:
        model_name: our name of the network.
        leaves: its arrays, with the names of torchvision or of timm, which are recognized. The last
            layer says how many classes there are, and the first one how many channels. An array of
            float64 stays one only with `jax_enable_x64`, as everywhere in JAX.

    Raises:
        ValueError: the network has no counterpart in PyTorch, or the arrays are not its own.
    """
    arrays = {name: np.asarray(leaf) for name, leaf in leaves.items()}
    found = read(model_name, arrays, "from_torch: the dictionary")
    if found.source == OURS:
        raise ValueError("from_torch: the names are our own already")
    return jax.tree.map(jnp.asarray, from_names(found.like, found.leaves))


def to_torch(
    model_name: str, variables: Variables, names: Library = "torchvision"
) -> dict[str, np.ndarray]:
    """Return a `state_dict` of PyTorch, from the parameters and the state of a network of ours.

    Example:
        leaves = to_torch("resnet18", variables)
        network.load_state_dict({name: torch.tensor(leaf) for name, leaf in leaves.items()})

    Args:
        model_name: our name of the network.
        variables: (params, state), or anything that has their shapes, such as gradients.
        names: whose names and layouts the arrays get.

    Raises:
        ValueError: the network has no counterpart in PyTorch, or the arrays are not its own.
    """
    arrays = {name: np.asarray(leaf) for name, leaf in by_name(Variables(*variables)).items()}
    return written(model_name, read(model_name, arrays, "to_torch: the variables"), names)


def read(model_name: str, leaves: Arrays, what: str) -> Recognized:
    """Return arrays with our names and layouts; `what` has them, and is the subject of errors.

    Raises:
        ValueError: the network has no counterpart in PyTorch, or the arrays are not its own.
    """
    check_network(model_name)
    return recognized(what, model_name, partial(_shapes, model_name), leaves)


def written(model_name: str, found: Recognized, names: Library) -> dict[str, np.ndarray]:
    """Return arrays with the names and layouts of a library, in C order."""
    theirs = to_theirs(equations(found.like, NETWORKS[model_name][names]), found.leaves)
    return {name: np.asarray(leaf, order="C") for name, leaf in theirs.items()}


@cache
def _shapes(model_name: str, channels: int, classes: int) -> Variables:
    """Return the shapes of a network, each of which takes half a second to find."""
    return shapes_of(find(model_name), (SIDE, SIDE, channels), classes)


def check_network(name: str) -> None:
    """Raise ValueError if the network is in none of PyTorch's libraries."""
    if name not in NETWORKS:
        raise ValueError(
            f"the network {name!r} has no counterpart in torchvision or timm; these have one:"
            f" {', '.join(NETWORKS)}"
        )
