"""Pictures of a run: its curves, its first batch, and what its layers compute from one image."""

import logging

from jaxconv.train.pictures.batch import BATCH, draw_batch
from jaxconv.train.pictures.curves import draw_curves
from jaxconv.train.pictures.layers import draw_layers

# matplotlib warns of fonts that it does not find, also of those that nothing here asks for.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

__all__ = ["BATCH", "draw_batch", "draw_curves", "draw_layers"]
