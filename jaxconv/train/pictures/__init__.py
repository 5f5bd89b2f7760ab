"""Figures of a run: its curves, and what its layers compute from one image."""

from jaxconv.train.pictures.curves import draw_curves
from jaxconv.train.pictures.layers import draw_layers

__all__ = ["draw_curves", "draw_layers"]
