"""The interactive page: the package's `page.html` with the geometry of a layer in it."""

import importlib.resources
import json
from collections.abc import Mapping
from typing import Any

from jaxconv.explain.sums import Sum
from jaxconv.explain.trilinear import Trilinear
from jaxconv.explain.windowed import Windowed

_BEGIN, _END = "/*GEOMETRY*/", "/*END*/"


def page(explained: Sum | Mapping[str, Any]) -> str:
    """Return the interactive page, one HTML file that needs no network, showing this sum.

    Args:
        explained: an element of a convolution, a transposed convolution or a pool, or what
            `geometry` returns for it.

    Raises:
        ValueError: the layer has no windows, or the page is not what it should be.
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


def geometry(explained: Sum) -> dict[str, Any]:
    """Return what the page is told: the geometry as lists with one entry per spatial dimension.

    For a transposed convolution, `padding` is that of the convolution that is transposed. Its high
    numbers are such that the size of the output is stride·(input − 1) + dilation·(kernel − 1) + 1
    minus both numbers.

    Raises:
        ValueError: the layer has no windows, or its border is filled with copies.
    """
    layer, notation = explained.layer, explained.notation
    if not isinstance(layer, Windowed) or not layer.spec.dims:
        raise ValueError(f"explain: the page shows layers with windows, but got {layer.op}")
    if isinstance(layer, Trilinear) and layer.padding_mode != "zeros":
        raise ValueError(
            f"explain: the page shows padding_mode 'zeros', but got {layer.padding_mode!r}"
        )
    spec = layer.spec
    return {
        "op": layer.op,
        "input": list(spec.output if layer.transposed else spec.size),
        "kernel": list(spec.window),
        "stride": list(spec.stride),
        "padding": [list(pair) for pair in layer.padding],
        "dilation": list(spec.dilation),
        "input_dilation": list(spec.input_dilation),
        "groups": spec.groups,
        "flip": layer.flip,
        "of": explained.left,
        "one_based": bool(notation.base),
        "names": [notation.letters.get(name, name) for name in ("x", "w", "y")],
    }
