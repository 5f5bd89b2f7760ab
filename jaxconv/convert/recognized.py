"""Arrays whose names are recognized: ours, torchvision's or timm's."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxconv.convert import fit
from jaxconv.convert.equations import Arrays, Equations, equations, to_ours
from jaxconv.convert.names import NETWORKS, Names
from jaxconv.convert.sizes import read_off
from jaxconv.models import Model, Variables

OURS = "jaxconv"
"""The source of arrays with our own names and layouts; the other sources are the libraries."""

CHANNELS, CLASSES = 3, 1000
"""ImageNet's."""

Shapes = Callable[[int, int], Variables]
"""(channels, classes) -> the shapes of a network."""


class Recognized(NamedTuple):
    """The arrays of a file.

    Attributes:
        source: whose names they had: OURS, or a library.
        classes: as many as the network tells apart.
        like: the shapes and dtypes of such a network.
        leaves: the arrays, with our names and layouts and the dtypes of the file.
    """

    source: str
    classes: int
    like: Variables
    leaves: dict[str, np.ndarray]


def recognized(what: str, model: str, shapes: Shapes, leaves: Arrays) -> Recognized:
    """Return the arrays with our names and layouts, after a comparison with those of a network.

    Args:
        what: what has the arrays, for messages.
        model: the name of the network.
        shapes: its shapes.
        leaves: the arrays by the names that they have there.

    Raises:
        ValueError: they are not those of the network.
    """
    source, names = _source(what, model, shapes(CHANNELS, CLASSES), leaves)

    def known(channels: int, classes: int) -> Equations:
        return equations(shapes(channels, classes), names)

    channels = read_off(partial(known, classes=CLASSES), leaves, CHANNELS)
    classes = read_off(partial(known, channels), leaves, CLASSES)
    wanted = known(channels, classes)
    leaves = fit.with_counts(wanted, leaves)
    fit.check(f"{what} has {whose(source)} names, but does not fit {model}", wanted, leaves)
    return Recognized(source, classes, shapes(channels, classes), to_ours(wanted, leaves))


def shapes_of(model: Model, image_shape: tuple[int, ...], classes: int) -> Variables:
    """Return the shapes and dtypes of the arrays of a network."""
    init = partial(model.init, image_shape=image_shape, classes=classes)
    return Variables(*jax.eval_shape(init, jax.random.key(0)))


def whose(source: str) -> str:
    """Say whose names those of a source are."""
    return "our own" if source == OURS else f"{source}'s"


def _source(what: str, model: str, like: Variables, leaves: Arrays) -> tuple[str, Names | None]:
    """Return whose names the arrays have: those of which most are there."""
    tables: Mapping[str, Names | None] = {OURS: None, **NETWORKS.get(model, {})}
    known = {
        source: {each.theirs for each in equations(like, table)} for source, table in tables.items()
    }
    source = max(known, key=lambda source: len(known[source] & leaves.keys()))
    if not known[source] & leaves.keys():
        raise ValueError(
            f"{what} has none of the names of {model}, neither"
            f" {', '.join(whose(source) for source in known)}: its arrays are"
            f" {', '.join([*leaves][:3]) or 'none'}{', …' if len(leaves) > 3 else ''}"
        )
    return source, tables[source]
