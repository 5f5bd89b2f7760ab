"""The handwritten digits that come with scikit-learn."""

import numpy as np

from jaxconv._core.extras import needs
from jaxconv.train.data.dataset import Dataset
from jaxconv.train.data.split import held_out


def bundled() -> Dataset:
    """Return 1,797 images of 8 × 8 in a fixed shuffle, of which a fifth is held out."""
    with needs("train"):
        from sklearn.datasets import load_digits
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[..., None]
    return held_out("digits", images, digits.target.astype(np.int32))
