"""What the layers compute from one image."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv._core.extras import needs
from jaxconv.models import Model, Params
from jaxconv.train.normalize import Scale, normalized

with needs("train"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAPS = 12  # the most feature maps or filters of a layer that a row shows


def draw_layers(
    path: Path, model: Model, params: Params, image: Array, scale: Scale | None = None
) -> None:
    """Draw filters and feature maps of every convolution for one image, layer by layer.

    The network sees the image normalised by `scale`.
    """
    rows: list[tuple[str, list[np.ndarray]]] = []
    for name, value in _outputs(model, params, normalized(jnp.asarray(image), scale)):
        if value.ndim == 3:
            kernel = np.asarray(params[name]["w"])
            filters = [_strongest_slice(k) for k in np.moveaxis(kernel, -1, 0)]
            rows.append((f"{name} filters", filters))
            rows.append((f"{name} ReLU", list(np.moveaxis(value, -1, 0))))

    columns = MAPS + 1
    figure = Figure(figsize=(0.8 * columns, 0.85 * len(rows)), layout="constrained", dpi=120)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    _show(grid[0, 0], input_of(np.asarray(image)), "gray", 0, 1)
    grid[0, 0].set_title("input", fontsize=8)
    for (title, tiles), axes_row in zip(rows, grid, strict=True):
        signed = title.endswith("filters")
        top = max(float(np.abs(tile).max()) for tile in tiles) or 1.0
        for tile, axes in zip(tiles, axes_row[1:], strict=False):
            _show(axes, tile, "RdBu_r" if signed else "gray", -top if signed else 0, top)
        axes_row[1].set_title(title, fontsize=8, loc="left")
    figure.savefig(path)


def input_of(image: np.ndarray) -> np.ndarray:
    """Return the image within [0, 1]: all of three channels, otherwise only the first."""
    tile = image if image.shape[-1] == 3 else image[..., 0]
    low, high = min(0.0, float(tile.min())), max(1.0, float(tile.max()))
    return (tile - low) / (high - low)


def _outputs(model: Model, params: Params, image: Array) -> list[tuple[str, np.ndarray]]:
    """Return the output of every layer for the image, in order."""
    names: list[str] = []

    @jax.jit
    def outputs(params: Params, x: Array) -> list[Array]:
        values: list[Array] = []

        def observe(name: str, value: Array) -> None:
            names.append(name)
            values.append(value[0])

        model.apply(params, x, observe=observe)
        return values

    values = outputs(params, image[None])
    return [(name, np.asarray(value)) for name, value in zip(names, values, strict=True)]


def _strongest_slice(kernel: np.ndarray) -> np.ndarray:
    """Return the input channel of a kernel (H, W, C) that has the largest norm."""
    return kernel[..., np.argmax(np.linalg.norm(kernel, axis=(0, 1)))]


def _show(axes: Axes, tile: np.ndarray, colors: str, low: float, high: float) -> None:
    axes.imshow(tile, cmap=colors, vmin=low, vmax=high, interpolation="nearest")
