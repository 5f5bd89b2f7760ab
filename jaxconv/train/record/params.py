"""Parameters, as safetensors."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxconv._core.extras import needs
from jaxconv._core.files import replacing
from jaxconv.models import Params

BEST = "best.safetensors"
"""The parameters after the epoch with the best accuracy on the held-out images."""


def save_params(path: Path, params: Params) -> None:
    """Save the parameters as safetensors, one array per leaf: "conv1.w", "conv1.b", …"""
    with needs("train"):
        from safetensors.numpy import save
    leaves = {
        f"{layer}.{name}": np.asarray(leaf, order="C")  # safetensors assumes this order
        for layer, leaves in params.items()
        for name, leaf in leaves.items()
    }
    with replacing(path) as beside:
        beside.write_bytes(save(leaves))


def load_params(path: str | Path) -> Params:
    """Return the parameters that a run has saved, for the `apply` of its model.

    Raises:
        ValueError: the file is no safetensors file of layers.
    """
    with needs("train"):
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    try:
        leaves = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from None
    params: Params = {}
    for key, leaf in leaves.items():
        layer, dot, name = key.partition(".")
        if not dot:
            raise ValueError(f"{path}: parameters are named layer.name, but got {key!r}")
        params.setdefault(layer, {})[name] = jnp.asarray(leaf)
    return params
