"""The images that a report looks at."""

from typing import NamedTuple

import numpy as np


class Held(NamedTuple):
    """The images that a report looks at, and what the network says of them."""

    images: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
