"""Random changes of a batch's images, drawn and made inside the compiled step.

changes.py   all of them, in order
geometry.py  cut, flipped, rotated, shifted
values.py    coloured, blanked out
mixing.py    mixed with other images
"""

from jaxconv.train.augment.changes import augmented

__all__ = ["augmented"]
