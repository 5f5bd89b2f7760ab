"""`data.json`: what the network has seen."""

import json
from pathlib import Path

from jaxconv._core.files import write_json
from jaxconv._core.types import Json
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.data.download import PUBLISHED
from jaxconv.train.normalize import Scale

DATA = "data.json"
"""The file that says what the network has seen: the classes, the size of the images, …"""


def save_data(
    path: Path, config: Config, dataset: Dataset, fingerprint: str, scale: Scale | None = None
) -> None:
    """Save what `predict` needs to know of the data, and what shows whether it has changed."""
    height, width, channels = dataset.train_images.shape[1:]
    write_json(
        path,
        {
            "dataset": str(Path(config.dataset).resolve()) if is_path(config) else config.dataset,
            "data_dir": config.data_dir and str(config.data_dir.resolve()),
            "classes": dataset.class_names,
            "image_shape": [height, width, channels],
            "train_images": len(dataset.train_labels),
            "test_images": len(dataset.test_labels),
            "fingerprint": fingerprint,
            "normalize": None if scale is None else scale._asdict(),
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
            raise ValueError("it is not a description of images and classes")
    except OSError as error:
        why = "it is a file" if folder.is_file() else f"{path.name}: {error.strerror}"
        raise ValueError(f"{folder} is not an output folder of a run: {why}") from None
    except (AttributeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    return dict(values)


def scale_of_run(known: Json) -> Scale | None:
    """Return the mean and deviation that a run has normalised its images with, if it has."""
    values = known.get("normalize")
    return values and Scale(tuple(values["mean"]), tuple(values["deviation"]))


def is_path(config: Config) -> bool:
    """Return whether the data set is a file or a folder, and not one that is known by its name."""
    return config.dataset not in ("digits", *PUBLISHED) and Path(config.dataset).exists()
