"""What the layers compute from one image."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv._core.extras import needs
from jaxconv.models import Model, Variables
from jaxconv.train.normalize import Scale, normalized
from jaxconv.train.pictures.maps import MAPS, Row, rows_of
from jaxconv.train.pictures.tiles import height_of, input_of, note_on

with needs("train"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TILE = 0.8  # the width of a tile, in inches
KEY = (
    "The strongest maps of each layer, by their norm, and above them their filters, of which a tile"
    " is the strongest input channel: red is positive, blue negative."
)


def draw_layers(
    path: Path, model: Model, variables: Variables, image: Array, scale: Scale | None = None
) -> None:
    """Draw filters and feature maps for one image, layer by layer.

    The network sees the image normalised by `scale`.
    """
    rows = rows_of(model, variables, normalized(jnp.asarray(image), scale))
    rows = rows or [Row("", [], False)]
    heights = [height_of(row.tiles[0]) if row.tiles else 1.0 for row in rows]
    inches = TILE * sum(heights) + 0.18 * len(rows) + 0.4
    figure = Figure(figsize=(TILE * (MAPS + 1), inches), layout="constrained", dpi=120)
    grid = figure.subplots(len(rows), MAPS + 1, squeeze=False, height_ratios=heights)
    for axes in grid.flat:
        axes.axis("off")
        axes.set_anchor("NW")  # what is narrower than its column begins where the others do
    _show(grid[0, 0], input_of(np.asarray(image)), "gray", 0, 1)
    grid[0, 0].set_title("input", fontsize=8, loc="left", pad=3)
    for row, axes_row in zip(rows, grid, strict=True):
        top = max((float(np.abs(tile).max()) for tile in row.tiles), default=0.0) or 1.0
        for tile, axes in zip(row.tiles, axes_row[1:], strict=False):
            _show(axes, tile, "RdBu_r" if row.signed else "gray", -top if row.signed else 0, top)
        axes_row[1].set_title(row.title, fontsize=8, loc="left", pad=3)
    key = f"{KEY}\n{note_on(image.shape[-1])}".strip()
    figure.supxlabel(key, x=0.01, ha="left", fontsize=7)
    figure.savefig(path)


def _show(axes: Axes, tile: np.ndarray, colors: str, low: float, high: float) -> None:
    axes.imshow(tile, cmap=colors, vmin=low, vmax=high, interpolation="nearest")
