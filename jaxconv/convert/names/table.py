"""Tables of names, a line for each layer: ours = PyTorch's."""

from collections.abc import Iterable, Mapping

Names = Mapping[str, str]
"""Of each layer, our name and PyTorch's."""


def table(text: str, places: Iterable[Mapping[str, int]]) -> dict[str, str]:
    """Return the names in a text, whose lines are filled in for each of the places.

    "block{n}.expand = features.{n}.conv.0" and the places n=2, n=3 make two layers.
    """
    lines = [line.split("=") for line in text.strip().splitlines()]
    return {
        ours.strip().format(**place): theirs.strip().format(**place)
        for place in places
        for ours, theirs in lines
    }
