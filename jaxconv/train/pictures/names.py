"""Names that are too long for their place."""

from functools import cache

from jaxconv._core.extras import needs

with needs("train"):
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path


def shortened(name: str, most: int) -> str:
    """Return a name with at most this many characters: … stands for what its middle loses."""
    if len(name) <= most:
        return name
    end = (most - 1) // 2
    return name[: most - 1 - end] + "…" + name[len(name) - end :]


@cache
def fitted(name: str, width: float, size: float) -> str:
    """Return a name, shortened if it must be to fit into a width in points, at a font size."""
    most = len(name)
    while most > 1 and _width(shortened(name, most), size) > width:
        most -= 1
    return shortened(name, most)


def _width(name: str, size: float) -> float:
    """Return the width of a line, in points."""
    width, _, _ = text_to_path.get_text_width_height_descent(name, FontProperties(size=size), False)
    return float(width)
