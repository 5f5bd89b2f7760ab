"""`config.json`: the settings of a run, and the environment it ran in."""

import dataclasses
import json
import platform
from pathlib import Path

import jax

import jaxconv
from jaxconv._core.files import write_json
from jaxconv.train.config import Config

CONFIG = "config.json"

NOT_KEPT = ("resume", "list_models", "coordinator", "processes", "process_id")
"""A resumed run writes what an uninterrupted one writes, and so do several processes."""


def save_config(path: Path, config: Config) -> None:
    """Save the configuration and the environment it ran in, as JSON."""
    values = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in dataclasses.asdict(decided(config)).items()
    }
    for name in NOT_KEPT:
        del values[name]
    values["environment"] = environment()
    write_json(path, values)


def load_config(folder: Path) -> Config:
    """Return the configuration of the run that has this output folder.

    Raises:
        ValueError: the file is missing, or is not a configuration.
    """
    path = folder / CONFIG
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values.pop("environment")
        values.setdefault("weights", None)  # earlier versions had no such setting
        for name in ("data_dir", "out", "weights"):
            if values[name] is not None:
                values[name] = Path(values[name])
        return Config(**values)
    except OSError as error:
        why = "it is a file" if folder.is_file() else f"{path.name}: {error.strerror}"
        raise ValueError(f"{folder} is not an output folder of a run: {why}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a configuration of a run: {error}") from None


def environment() -> dict[str, str]:
    """Return the versions and the device of this process."""
    return {
        "jaxconv": jaxconv.__version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
    }


def decided(config: Config) -> Config:
    """Return the configuration with the weight decay that is used."""
    return dataclasses.replace(config, weight_decay=config.decay)
