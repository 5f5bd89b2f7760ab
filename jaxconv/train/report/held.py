"""The images that a report looks at."""

from typing import NamedTuple

import numpy as np

from jaxconv.train.data.blocks import Images


class Held(NamedTuple):
    """The images that a report looks at, and what the network says of them."""

    images: Images
    labels: np.ndarray
    probabilities: np.ndarray
