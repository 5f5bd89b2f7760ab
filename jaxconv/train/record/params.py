"""What a network has learnt, as safetensors."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv._core import tensors
from jaxconv.models import Params, Variables
from jaxconv.models.leaves import STATE, by_name, from_names

BEST = "best.safetensors"
"""Parameters and state after the epoch with the best accuracy on the held-out images."""


def save_variables(path: Path, variables: Variables) -> None:
    """Save parameters, "conv1.w", "conv1.b", …, and state, "state/norm1.mean", …, by name."""
    tensors.write(path, {name: np.asarray(leaf) for name, leaf in by_name(variables).items()})


def load_variables(path: str | Path, like: Variables) -> Variables:
    """Return what `save_variables` has saved of a network with these names, shapes and dtypes.

    Raises:
        ValueError: the file is not a safetensors file, or is one of another network.
    """
    leaves = tensors.read(path)
    wanted = by_name(like)
    for name in sorted(wanted.keys() | leaves.keys()):
        was, now = (_kind(each.get(name)) for each in (wanted, leaves))
        if was != now:
            raise ValueError(f"{path}: {name} should be {was}, but is {now}")
    return from_names(like, {name: jnp.asarray(leaf) for name, leaf in leaves.items()})


def load_params(path: str | Path) -> Params:
    """Return the parameters that a run has saved, {"conv1": {"w": …, "b": …}, …}.

    They are those of a network of jaxconv.models, without its state.

    Raises:
        ValueError: the file is not a safetensors file of layers.
    """
    params: Params = {}
    for key, leaf in tensors.read(path).items():
        layer, dot, name = key.rpartition(".")
        if not dot:
            raise ValueError(f"{path}: parameters are named layer.name, but got {key!r}")
        if not key.startswith(STATE):
            params.setdefault(layer, {})[name] = jnp.asarray(leaf)
    return params


def _kind(leaf: Array | np.ndarray | None) -> str:
    return "nothing" if leaf is None else f"{leaf.dtype}{list(leaf.shape)}"
