"""The output folder: what a run leaves behind, never half-written."""

import csv
import dataclasses
import itertools
import platform
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxconv
from jaxconv.extras import needs
from jaxconv.files import replacing, write_json
from jaxconv.models import Params
from jaxconv.train.config import Config


class Epoch(NamedTuple):
    """One line of metrics.csv."""

    epoch: int
    loss: float
    """Mean cross-entropy over the epoch's batches, each before its step."""
    train_accuracy: float
    """Likewise."""
    test_accuracy: float
    """On the held-out images, after the epoch."""
    images_per_second: float
    """Training images, without evaluation and compilation."""


def make_folder(config: Config) -> Path:
    """The run's output folder, new or empty."""
    folder = config.out
    if folder is None:
        return _new_folder(config)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"--out {folder} is there already and not an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _new_folder(config: Config) -> Path:
    """A folder in runs/ that nobody else has, not even a run started in the same second."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = f"{config.dataset}-{config.model}-{config.gradients}-{stamp}"
    for suffix in itertools.chain([""], (f"-{i}" for i in itertools.count(2))):
        folder = Path("runs") / (name + suffix)
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
    return folder


def save_config(path: Path, config: Config) -> None:
    """The configuration and what it ran on, as JSON."""
    values = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in dataclasses.asdict(config).items()
    }
    values["weight_decay"] = config.decay
    values["environment"] = {
        "jaxconv": jaxconv.__version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
    }
    write_json(path, values)


def save_metrics(path: Path, epochs: list[Epoch]) -> None:
    """All epochs so far as CSV."""
    with replacing(path) as beside, beside.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Epoch._fields)
        writer.writerows(epochs)


def save_params(path: Path, params: Params) -> None:
    """The parameters as safetensors, one array per leaf: "conv1.w", "conv1.b", …"""
    with needs("train"):
        from safetensors.numpy import save_file
    leaves = {
        f"{layer}.{name}": np.asarray(leaf, order="C")  # what safetensors takes for granted
        for layer, leaves in params.items()
        for name, leaf in leaves.items()
    }
    with replacing(path) as beside:
        save_file(leaves, beside)


def load_params(path: str | Path) -> Params:
    """Parameters that a run saved, ready for the `apply` of its model.

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
            raise ValueError(f"{path}: parameters are named layer.name, but {key!r} came")
        params.setdefault(layer, {})[name] = jnp.asarray(leaf)
    return params
