"""The first batch as the network saw it."""

from collections.abc import Sequence

from jaxconv.train.first import First
from jaxconv.train.pictures.names import shortened
from jaxconv.train.report.figures import MOST, figures


def batch(first: First, names: Sequence[str]) -> str:
    """Return, as HTML, the images of the first batch with the names of their classes below them."""
    short = [shortened(name, MOST) for name in names]
    return figures(list(first.colours), first.captions(short), first.captions(names))
