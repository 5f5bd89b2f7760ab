"""The strongest feature maps of each layer, and the filters that they are from."""

from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from jaxconv.models import Model, Variables, observes
from jaxconv.models.leaves import named

MAPS = 12  # the most feature maps or filters of a layer that a row shows
LAYERS = 12  # the most layers that are shown


class Row(NamedTuple):
    """A row of the drawing."""

    title: str
    tiles: list[np.ndarray]
    signed: bool


def rows_of(model: Model, variables: Variables, image: Array) -> list[Row]:
    """Return the feature maps of every layer that the network shows, below its filters if it has.

    Of more than LAYERS, some are left out, as evenly as can be.
    """
    maps = [(name, value) for name, value in _outputs(model, variables, image) if value.ndim == 3]
    places = np.linspace(0, len(maps) - 1, min(LAYERS, len(maps))).round().astype(int)
    kernels = {name: leaf for name, leaf in named(variables.params) if leaf.ndim == 4}
    rows: list[Row] = []
    for name, value in (maps[place] for place in places):
        kernel = kernels.get(f"{name}.w")
        rows += _rows(name, None if kernel is None else np.asarray(kernel), value)
    return rows


def _rows(name: str, kernel: np.ndarray | None, maps: np.ndarray) -> list[Row]:
    """Return the strongest maps (H, W, O) of a layer, below the filters that they are from."""
    strength = np.linalg.norm(maps.reshape(-1, maps.shape[-1]), axis=0)
    shown = np.argsort(-strength, kind="stable")[:MAPS]
    left = f", {len(shown)} of {len(strength):,}" if len(shown) < len(strength) else ""
    signed = bool(maps.min() < 0)
    below = Row(f"{name} output{left}", [maps[..., i] for i in shown], signed)
    if kernel is None:
        return [below]
    filters = [_strongest_slice(kernel[..., i]) for i in shown]
    return [Row(f"{name} filters{left}", filters, True), below]


def _outputs(model: Model, variables: Variables, image: Array) -> list[tuple[str, np.ndarray]]:
    """Return the output of every layer that the network shows, for the image, in order."""
    if not observes(model):
        return []
    names: list[str] = []

    @jax.jit
    def outputs(variables: Variables, x: Array) -> list[Array]:
        values: list[Array] = []

        def observe(name: str, value: Array) -> None:
            names.append(name)
            values.append(value[0])

        model.apply(*variables, x, train=False, observe=observe)
        return values

    values = outputs(variables, image[None])
    return [(name, np.asarray(value)) for name, value in zip(names, values, strict=True)]


def _strongest_slice(kernel: np.ndarray) -> np.ndarray:
    """Return the input channel of a kernel (H, W, C) that has the largest norm."""
    return kernel[..., np.argmax(np.linalg.norm(kernel, axis=(0, 1)))]
