"""The interactive page: the package's `page.html` with the geometry of a layer in it."""

import importlib.resources
import json
from collections.abc import Mapping

from jaxconv.explain.shown import geometry
from jaxconv.explain.sums import Sum

_BEGIN, _END = "/*GEOMETRY*/", "/*END*/"


def page(explained: Sum | Mapping[str, object]) -> str:
    """Return the interactive page, one HTML file that needs no network, showing this sum.

    Args:
        explained: an element of a convolution, a transposed convolution or a pool, or what
            `geometry` returns for it.

    Raises:
        ValueError: the page cannot show the layer, or is not what it should be.
        FileNotFoundError: the package was installed without its page.
    """
    told = geometry(explained) if isinstance(explained, Sum) else dict(explained)
    file = importlib.resources.files("jaxconv.explain") / "page.html"
    if not file.is_file():
        raise FileNotFoundError("jaxconv/explain/page.html is missing from the package")
    before, begin, rest = file.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"explain: page.html must contain {_BEGIN}null{_END}")
    # "</" would end the script that contains the object.
    text = json.dumps(told, ensure_ascii=False).replace("</", "<\\/")
    return f"{before}{begin}{text}{end}{after}"
