"""The files that a run writes in the end, so that its network can be used and looked at."""

from collections.abc import Sequence
from pathlib import Path

from jaxconv._core.files import replacing, write_text
from jaxconv.models import Variables, find
from jaxconv.train import pictures, record, report
from jaxconv.train.batch import as_floats
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.record import Epoch
from jaxconv.train.step import Seen

PARAMS = "params.safetensors"
FILES = (PARAMS, "curves.png", "layers.png", "report.html")


def are_written(folder: Path) -> bool:
    """Return whether a run has written all that it writes in the end."""
    return all((folder / name).exists() for name in FILES)


def write(
    folder: Path,
    config: Config,
    dataset: Dataset,
    seen: Seen,
    variables: Variables,
    epochs: Sequence[Epoch],
) -> None:
    """Write the files.

    Args:
        folder: the output folder.
        config: the settings of the run.
        dataset: the images.
        seen: what the steps knew of the images as a whole.
        variables: what the network has learnt after the last step.
        epochs: all epochs so far.
    """
    record.save_variables(folder / PARAMS, variables)
    best = folder / record.BEST
    shown = record.load_variables(best, like=variables) if best.exists() else variables
    image = as_floats(dataset.test_images[:1])[0]
    with replacing(folder / "curves.png") as path:
        pictures.draw_curves(path, list(epochs), config)
    with replacing(folder / "layers.png") as path:
        pictures.draw_layers(path, find(config.model), shown, image, seen.scale)
    page = report.make_report(config, dataset, seen, shown, epochs, folder)
    write_text(folder / "report.html", page)
