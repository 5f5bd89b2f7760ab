"""The surest mistakes."""

from collections.abc import Sequence

import numpy as np

from jaxconv.train.pictures.names import shortened
from jaxconv.train.report.figures import MOST, figures
from jaxconv.train.report.held import Held

MISTAKES = 24
"""As many mistakes are shown."""


def mistakes(held: Held, names: Sequence[str]) -> str:
    """Return the images of which the network was surest and wrong."""
    found = np.argmax(held.probabilities, axis=1)
    wrong = np.flatnonzero(found != held.labels)
    surest = wrong[np.argsort(-held.probabilities[wrong, found[wrong]], kind="stable")][:MISTAKES]
    if not len(surest):
        return "<p>There is none.</p>"
    captions, titles = (
        [
            f"{known[held.labels[i]]}, taken for {known[found[i]]}"
            f" ({held.probabilities[i, found[i]]:.0%})"
            for i in surest
        ]
        for known in ([shortened(name, MOST) for name in names], names)
    )
    return figures([held.images[i] for i in surest], captions, titles)
