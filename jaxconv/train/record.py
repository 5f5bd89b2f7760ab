"""The output folder of a run; none of its files is ever half-written."""

import csv
import dataclasses
import itertools
import json
import math
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxconv
from jaxconv._core.extras import needs
from jaxconv._core.files import replacing, write_json
from jaxconv._core.types import Json
from jaxconv.models import Params
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.data.download import PUBLISHED
from jaxconv.train.flags import flag

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

BEST = "best.safetensors"
"""The parameters after the epoch with the best accuracy on the held-out images."""

DIVERGED = "diverged.npz"
"""The file with the step in which the loss became NaN or infinite."""


class Epoch(NamedTuple):
    """One line of metrics.csv."""

    epoch: int
    loss: float
    """Mean cross-entropy over the epoch's batches, each before its step."""
    train_accuracy: float
    """Accuracy over the epoch's batches, each before its step."""
    test_accuracy: float
    """Accuracy on the held-out images, after the epoch."""
    images_per_second: float
    """Training images per second, not counting evaluation and compilation."""
    test_loss: float = math.nan
    """Mean cross-entropy of the held-out images, after the epoch."""
    learning_rate: float = math.nan
    """Learning rate of the first step of the epoch."""


def best_of(epochs: Sequence[Epoch]) -> Epoch:
    """Return the epoch with the best accuracy on the held-out images, and then the lowest loss."""
    return max(epochs, key=lambda epoch: (epoch.test_accuracy, -epoch.test_loss))


def make_folder(config: Config) -> Path:
    """Make and return the run's output folder, which must be new or empty."""
    folder = config.out
    if folder is None:
        return _new_folder(config)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"--out {folder} is there already and not an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _new_folder(config: Config) -> Path:
    """Make a folder in runs/ that no other run has, even if started in the same second."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = f"{config.title}-{config.model}-{config.gradients}-{stamp}"
    for suffix in itertools.chain([""], (f"-{i}" for i in itertools.count(2))):
        folder = Path("runs") / (name + suffix)
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to a run's output folder, until this one has ended.

    Raises:
        ValueError: another process writes to it.
    """
    if fcntl is None:  # there is no such lock on Windows
        yield
        return
    # The lock is the folder's own: no file is left behind, and it ends with the process.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems do not lock folders
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"{folder} is in use: another process trains there") from None
        yield
    finally:
        os.close(descriptor)


# The fields that may change when a run is resumed.
FREE = ("epochs", "dataset", "data_dir", "devices", "verify_gradients", "resume")

DATA = "data.json"
"""The file that says what the network has seen: the classes, the size of the images, …"""


def check_goes_on(config: Config) -> None:
    """Raise ValueError if `config` changes what is not FREE in the run to resume."""
    assert config.resume is not None
    begun = _decided(load_config(config.resume))
    config = _decided(config)
    for field in dataclasses.fields(Config):
        was, now = getattr(begun, field.name), getattr(config, field.name)
        if was != now and field.name not in FREE:
            raise ValueError(
                f"--resume {config.resume}: {flag(field.name)} is {was} there and cannot become"
                f" {now}"
            )


def environment() -> dict[str, str]:
    """Return the versions and the device of this process."""
    return {
        "jaxconv": jaxconv.__version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
    }


def save_data(path: Path, config: Config, dataset: Dataset) -> None:
    """Save what `predict` needs to know of the data, and what shows whether it has changed."""
    height, width, channels = dataset.train_images.shape[1:]
    write_json(
        path,
        {
            "dataset": str(Path(config.dataset).resolve()) if _is_path(config) else config.dataset,
            "data_dir": config.data_dir and str(config.data_dir.resolve()),
            "classes": dataset.class_names,
            "image_shape": [height, width, channels],
            "train_images": len(dataset.train_images),
            "test_images": len(dataset.test_images),
            "fingerprint": dataset.fingerprint,
        },
    )


def load_data(folder: Path) -> Json:
    """Return what `save_data` has saved in the output folder of a run.

    Raises:
        ValueError: the file is missing or is something else.
    """
    path = folder / DATA
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not {"dataset", "data_dir", "classes", "image_shape", "fingerprint"} <= values.keys():
            raise ValueError("it is no description of images and classes")
    except OSError as error:
        raise ValueError(
            f"{folder} is no output folder of a run: {path.name}: {error.strerror}"
        ) from None
    except (AttributeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    return dict(values)


def check_same_data(config: Config, dataset: Dataset) -> None:
    """Raise ValueError if the run to resume began with other images or labels."""
    assert config.resume is not None
    if not (config.resume / DATA).exists():
        return  # it ended before it had begun
    known = load_data(config.resume)
    if known["fingerprint"] == dataset.fingerprint:
        return
    was, now = (
        f"{parts[0]} images to train on and {parts[1]} held out"
        for parts in (
            (known["train_images"], known["test_images"]),
            (len(dataset.train_images), len(dataset.test_images)),
        )
    )
    changed = f"{was} have become {now}" if was != now else "images or labels are others"
    raise ValueError(
        f"--resume {config.resume}: the data set {config.dataset} has changed: {changed}"
    )


def _is_path(config: Config) -> bool:
    """Return whether the data set is a file or a folder, and not one that is known by its name."""
    return config.dataset not in ("digits", *PUBLISHED) and Path(config.dataset).exists()


def _decided(config: Config) -> Config:
    """Return the configuration with the weight decay that is used."""
    return dataclasses.replace(config, weight_decay=config.decay)


def save_config(path: Path, config: Config) -> None:
    """Save the configuration and the environment it ran in, as JSON."""
    values = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in dataclasses.asdict(_decided(config)).items()
    }
    del values["resume"]  # a resumed run writes what an uninterrupted one writes
    values["environment"] = environment()
    write_json(path, values)


def begun(folder: Path) -> Config:
    """Return the configuration of a run, whose data are found from any working folder.

    Raises:
        ValueError: the folder is none of a run.
    """
    config = load_config(folder)
    if not (folder / DATA).exists():
        return config
    known = load_data(folder)
    if not _is_path(config):
        config = dataclasses.replace(config, dataset=known["dataset"])
    if config.data_dir is not None and not config.data_dir.exists():
        config = dataclasses.replace(config, data_dir=Path(known["data_dir"]))
    return config


def load_config(folder: Path) -> Config:
    """Return the configuration of the run that has this output folder.

    Raises:
        ValueError: the file is missing, or is no configuration.
    """
    path = folder / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values.pop("environment")
        for name in ("data_dir", "out"):
            if values[name] is not None:
                values[name] = Path(values[name])
        return Config(**values)
    except OSError as error:
        raise ValueError(
            f"{folder} is no output folder of a run: {path.name}: {error.strerror}"
        ) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no configuration of a run: {error}") from None


def save_metrics(path: Path, epochs: list[Epoch]) -> None:
    """Save all epochs so far, as CSV."""
    with replacing(path) as beside, beside.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Epoch._fields)
        writer.writerows(epochs)


def load_metrics(path: Path, count: int) -> list[Epoch]:
    """Return the first `count` epochs of a metrics.csv.

    Raises:
        ValueError: the file has fewer epochs, or is no such file.
    """
    try:
        with path.open(newline="") as file:
            _, *rows = csv.reader(file)
        epochs = [Epoch(int(number), *map(float, values)) for number, *values in rows[:count]]
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no table of epochs: {error}") from None
    if [epoch.epoch for epoch in epochs] != list(range(1, count + 1)):
        raise ValueError(f"{path} should have {count} epochs, but has {len(epochs)}")
    return epochs


def save_diverged(path: Path, batch: tuple[Array, Array], before: object) -> None:
    """Save the images and labels of a step, and each array of the state of training before it."""
    images, labels = batch
    state = {
        jax.tree_util.keystr(place, simple=True, separator="."): leaf
        for place, leaf in jax.tree.leaves_with_path(before)
    }
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, images=images, labels=labels, **state)


def save_params(path: Path, params: Params) -> None:
    """Save the parameters as safetensors, one array per leaf: "conv1.w", "conv1.b", …"""
    with needs("train"):
        from safetensors.numpy import save_file
    leaves = {
        f"{layer}.{name}": np.asarray(leaf, order="C")  # safetensors assumes this order
        for layer, leaves in params.items()
        for name, leaf in leaves.items()
    }
    with replacing(path) as beside:
        save_file(leaves, beside)


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
