"""What a network has learnt, as safetensors."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxconv._core.extras import needs
from jaxconv._core.files import replacing
from jaxconv.models import Params, Variables
from jaxconv.models.leaves import filled, named

BEST = "best.safetensors"
"""Parameters and state after the epoch with the best accuracy on the held-out images."""

STATE = "state/"
"""What the names of the state begin with."""


def save_variables(path: Path, variables: Variables) -> None:
    """Save parameters, "conv1.w", "conv1.b", …, and state, "state/norm1.mean", …, by name."""
    with needs("train"):
        from safetensors.numpy import save
    leaves = {
        name: np.asarray(leaf, order="C")  # safetensors assumes this order
        for name, leaf in _by_name(variables).items()
    }
    with replacing(path) as beside:
        beside.write_bytes(save(leaves))


def load_variables(path: str | Path, like: Variables) -> Variables:
    """Return what `save_variables` has saved of a network with these names, shapes and dtypes.

    Raises:
        ValueError: the file is no safetensors file, or is one of another network.
    """
    leaves = _load(path)
    wanted = _by_name(like)
    for name in sorted(wanted.keys() | leaves.keys()):
        was, now = (_kind(each.get(name)) for each in (wanted, leaves))
        if was != now:
            raise ValueError(f"{path}: {name} should be {was}, but is {now}")
    arrays = {name: jnp.asarray(leaf) for name, leaf in leaves.items()}
    params = {name: leaf for name, leaf in arrays.items() if not name.startswith(STATE)}
    state = {
        name.removeprefix(STATE): leaf for name, leaf in arrays.items() if name.startswith(STATE)
    }
    return Variables(filled(like.params, params), filled(like.state, state))


def load_params(path: str | Path) -> Params:
    """Return the parameters that a run has saved, {"conv1": {"w": …, "b": …}, …}.

    They are those of a network of jaxconv.models, without its state.

    Raises:
        ValueError: the file is no safetensors file of layers.
    """
    params: Params = {}
    for key, leaf in _load(path).items():
        layer, dot, name = key.rpartition(".")
        if not dot:
            raise ValueError(f"{path}: parameters are named layer.name, but got {key!r}")
        if not key.startswith(STATE):
            params.setdefault(layer, {})[name] = jnp.asarray(leaf)
    return params


def _by_name(variables: Variables) -> dict[str, Any]:
    return dict(named(variables.params)) | {
        f"{STATE}{name}": leaf for name, leaf in named(variables.state)
    }


def _load(path: str | Path) -> dict[str, np.ndarray]:
    with needs("train"):
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from None


def _kind(leaf: Any) -> str:
    return "nothing" if leaf is None else f"{leaf.dtype}{list(leaf.shape)}"
