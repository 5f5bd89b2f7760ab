"""The strongest feature maps of each layer, and the filters that they are from."""

from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from jaxconv.models import Model, Params

MAPS = 12  # the most feature maps or filters of a layer that a row shows


class Row(NamedTuple):
    """A row of the drawing."""

    title: str
    tiles: list[np.ndarray]
    signed: bool


def rows_of(model: Model, params: Params, image: Array) -> list[Row]:
    """Return two rows for every convolution: its filters, and below them its feature maps."""
    rows: list[Row] = []
    for name, value in _outputs(model, params, image):
        if value.ndim == 3:
            rows += _rows(name, np.asarray(params[name]["w"]), value)
    return rows


def _rows(name: str, kernel: np.ndarray, maps: np.ndarray) -> list[Row]:
    """Return the strongest maps (H, W, O) of a layer, below the filters that they are from."""
    strength = np.linalg.norm(maps.reshape(-1, maps.shape[-1]), axis=0)
    shown = np.argsort(-strength, kind="stable")[:MAPS]
    left = f", {len(shown)} of {len(strength):,}" if len(shown) < len(strength) else ""
    filters = [_strongest_slice(kernel[..., i]) for i in shown]
    return [
        Row(f"{name} filters{left}", filters, True),
        Row(f"{name} ReLU{left}", [maps[..., i] for i in shown], False),
    ]


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
