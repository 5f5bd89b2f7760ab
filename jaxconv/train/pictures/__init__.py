"""Pictures of a run: its curves, its first batch, and what its layers compute from one image."""

from jaxconv.train.pictures.batch import BATCH, draw_batch
from jaxconv.train.pictures.curves import draw_curves
from jaxconv.train.pictures.layers import draw_layers

__all__ = ["BATCH", "draw_batch", "draw_curves", "draw_layers"]
