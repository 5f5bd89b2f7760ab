"""The first batch as the network sees it."""

from pathlib import Path

from jaxconv._core.extras import needs
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.first import first_batch
from jaxconv.train.pictures.layers import input_of
from jaxconv.train.step import Seen

with needs("train"):
    from matplotlib.figure import Figure

BATCH = "batch.png"
COLUMNS = 8


def draw_batch(path: Path, config: Config, dataset: Dataset, seen: Seen) -> None:
    """Draw the images of the first batch, as they are changed at random, with their classes."""
    first = first_batch(config, dataset, seen)
    rows = -(-len(first.colours) // COLUMNS)
    figure = Figure(figsize=(1.3 * COLUMNS, 1.5 * rows), layout="constrained", dpi=120)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    captions = first.captions(dataset.class_names)
    for axes, image, caption in zip(grid.flat, first.colours, captions, strict=False):
        axes.imshow(input_of(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(caption, fontsize=7)
    figure.savefig(path)
