"""The first batch as the network sees it."""

from pathlib import Path

from jaxconv._core.extras import needs
from jaxconv.train.config import Config
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.first import First, first_batch
from jaxconv.train.pictures.names import fitted
from jaxconv.train.pictures.tiles import height_of, input_of, note_on
from jaxconv.train.step import Seen

with needs("train"):
    from matplotlib.figure import Figure

BATCH = "batch.png"
WIDTH = 10.4
COLUMNS, COLUMNS_WIDE = 8, 4
SIZE = 7  # of the captions, in points


def draw_batch(path: Path, config: Config, dataset: Dataset, seen: Seen) -> None:
    """Draw the images of the first batch, as they are changed at random, with their classes."""
    first = first_batch(config, dataset, seen)
    height = height_of(first.colours[0])
    columns = COLUMNS if height > 0.5 else COLUMNS_WIDE
    tile = WIDTH / columns
    columns = max(2, min(columns, len(first.colours)))
    rows = -(-len(first.colours) // columns)
    captions = _captions(first, dataset.class_names, 0.92 * 72 * (tile - 0.1))
    note = note_on(first.colours.shape[-1])
    line = 1.3 * SIZE / 72
    lines = max(caption.count("\n") + 1 for caption in captions)
    inches = rows * (tile * height + lines * line + 0.08) + (2 * line if note else 0)
    figure = Figure(figsize=(tile * columns, inches), layout="constrained", dpi=120)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, image, caption in zip(grid.flat, first.colours, captions, strict=False):
        axes.imshow(input_of(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(caption, fontsize=SIZE, pad=3, parse_math=False)
    if note:
        figure.supxlabel(note, x=0.01, ha="left", fontsize=SIZE)
    figure.savefig(path)


def _captions(first: First, names: tuple[str, ...], width: float) -> list[str]:
    """Return what each image shows, in lines that fit into a width in points."""
    if first.answers.others is not None:
        width -= 5 * SIZE * 0.7  # what " 100%" takes
    short = [fitted(name, width, SIZE) for name in names]
    return first.captions(short, between="\n")
