"""An interrupted run that goes on: its settings, and what must be as it was."""

import dataclasses
from pathlib import Path

from jaxconv.train.changes import NONE
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.flags import flag
from jaxconv.train.record.images import DATA, is_path, load_data
from jaxconv.train.record.settings import decided, load_config

# The fields that may change when a run is resumed.
FREE = (
    "epochs",
    "dataset",
    "data_dir",
    "memory",
    "devices",
    "coordinator",
    "processes",
    "process_id",
    "tensorboard",
    "verify_gradients",
    "resume",
)


def begun(folder: Path) -> Config:
    """Return the configuration of a run, whose data are found from any working folder.

    Raises:
        ValueError: the folder is none of a run.
    """
    config = load_config(folder)
    if not (folder / DATA).exists():
        return config
    known = load_data(folder)
    if not is_path(config):
        config = dataclasses.replace(config, dataset=known["dataset"])
    if config.data_dir is not None and not config.data_dir.exists():
        config = dataclasses.replace(config, data_dir=Path(known["data_dir"]))
    return config


def going_on(config: Config) -> Config:
    """Return the configuration with what the recipe of the run to resume has decided.

    Raises:
        ValueError: `config` changes what is not FREE.
    """
    assert config.resume is not None
    begun = decided(load_config(config.resume))
    left = {name: getattr(begun, name) for name in NONE if getattr(config, name) is None}
    config = dataclasses.replace(decided(config), **left)
    for field in dataclasses.fields(Config):
        was, now = getattr(begun, field.name), getattr(config, field.name)
        if was != now and field.name not in FREE:
            raise ValueError(
                f"--resume {config.resume}: {flag(field.name)} is {was} there and cannot become"
                f" {now}"
            )
    return config


def check_same_data(config: Config, dataset: Dataset, fingerprint: str) -> None:
    """Raise ValueError if the run to resume began with images or labels of another fingerprint."""
    assert config.resume is not None
    if not (config.resume / DATA).exists():
        return  # it ended before it had begun
    known = load_data(config.resume)
    if known["fingerprint"] == fingerprint:
        return
    was, now = (
        f"{parts[0]} images to train on and {parts[1]} held out"
        for parts in (
            (known["train_images"], known["test_images"]),
            (len(dataset.train_images), len(dataset.test_images)),
        )
    )
    changed = f"it had {was}, now {now}" if was != now else "images or labels are different"
    raise ValueError(
        f"--resume {config.resume}: the data set {config.dataset} has changed: {changed}"
    )
