"""Records of the activations."""

import numpy as np

from jaxconv.check.catalogue.record import Pinned, Record, Sample
from jaxconv.check.catalogue.sampling import away_from, normal

# Few shapes, many draws: an elementwise op is compiled once for each shape.
SHAPES = ((), (0,), (7,), (2, 3, 5))


def elementwise(seed: int) -> np.ndarray:
    """Numbers within a few units of 0, in shapes that take turns."""
    return 2 * normal(seed, SHAPES[seed % len(SHAPES)])


RECORDS = (
    Record(
        name="relu",
        sample=lambda seed: Sample({"x": away_from([0], elementwise(seed))}),
        large=lambda: Sample({"x": normal(0, (8, 17, 16, 24))}),
        transformed=(3,),
        pinned=(
            Pinned(
                "the kink, NaN and infinities",
                Sample({"x": np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-300])}),
                dy=np.full(6, 7.0),
                y=np.array([0.0, 0.0, np.nan, np.inf, 0.0, 1e-300]),
                gradients={"x": np.array([0.0, 0.0, 0.0, 7.0, 0.0, 7.0])},
            ),
        ),
    ),
)
