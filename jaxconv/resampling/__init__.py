"""Resampling: other positions, the same values. Every op here is linear in x.

`patches` lays windows side by side and back, `sizes` makes images larger and smaller,
`shuffling` trades channels for positions. What the first two do along one axis is a small
matrix known from the shapes (`rows`); the backward pass is its transpose.
"""

from jaxconv.resampling.pixel_shuffle import pixel_shuffle, pixel_unshuffle
from jaxconv.resampling.resize import resize, upsample
from jaxconv.resampling.unfold import fold, unfold

__all__ = ["fold", "pixel_shuffle", "pixel_unshuffle", "resize", "unfold", "upsample"]
