"""Resampling: ops that move values to other positions. All are linear in x.

`unfold` lays windows side by side and `fold` adds them back up, `resize` and `upsample` change
the size of images, and `pixel_shuffle` exchanges channels for positions. Along one axis the
first four multiply by a sparse matrix that the shapes determine (`_rows.py`), and the backward
pass multiplies by its transpose.
"""

from jaxconv.resampling.pixel_shuffle import pixel_shuffle, pixel_unshuffle
from jaxconv.resampling.resize import resize, upsample
from jaxconv.resampling.unfold import fold, unfold

__all__ = ["fold", "pixel_shuffle", "pixel_unshuffle", "resize", "unfold", "upsample"]
