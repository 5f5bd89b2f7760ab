"""What the interactive page is told of a layer, and which layers it can show."""

import math

import numpy as np

from jaxconv._core.geometry import Ints
from jaxconv._core.types import Json
from jaxconv._core.windows import first_and_count
from jaxconv.explain.pools import AvgPool, ExtremePool, Pool
from jaxconv.explain.sums import Sum
from jaxconv.explain.trilinear import Trilinear
from jaxconv.explain.windowed import Windowed

# The page has the same limits under the names MAX_SIDE, MAX_CELLS and MAX_CHANNELS.
LARGEST = 40
"""The largest number of a setting, such as the rows of x; with border and holes twice that."""
MOST_CELLS = 6_000
"""The cells of all arrays and gradients together."""
MOST_CHANNELS = 4
"""The channels of x, and of y."""
_MOST_HOLES = 8


def geometry(explained: Sum) -> Json:
    """Return what the page is told: the geometry as lists with one entry per spatial dimension.

    The page has one example and channels last. For a transposed convolution, `padding` is that of
    the convolution that is transposed. Its high numbers are such that the size of the output is
    stride·(input − 1) + dilation·(kernel − 1) + 1 minus both numbers.

    Raises:
        ValueError: the page cannot show the layer: it has no windows, a border of copies, several
            examples, three spatial dimensions, too many channels or cells, or it is a pool that
            the page does not have; or the element is one of db.
    """
    layer, notation = explained.layer, explained.notation
    if not isinstance(layer, Windowed) or not layer.spec.dims:
        raise _cannot("layers with windows", layer.op)
    spec = layer.spec
    channels = [spec.channels_in, spec.channels_out][:: -1 if layer.transposed else 1]
    is_pool = isinstance(layer, Pool)
    told: Json = {
        "op": layer.op,
        "input": list(spec.output if layer.transposed else spec.size),
        "kernel": list(spec.window),
        "stride": list(spec.stride),
        "padding": [list(pair) for pair in layer.padding],
        "dilation": list(spec.dilation),
        "input_dilation": list(spec.input_dilation),
        "groups": 1 if is_pool else spec.groups,
        "channels": channels,
        "flip": layer.flip,
        "of": _cell(explained, layer, keeps_channels=channels != [1, 1]),
        "one_based": bool(notation.base),
        "names": [notation.letters.get(name, name) for name in ("x", "w", "y")],
    }
    _check(layer, told)
    return told | (_own_of_pool(layer) if isinstance(layer, Pool) else {})


def _cannot(shows: str, got: object) -> ValueError:
    return ValueError(f"explain: the page shows {shows}, but got {got}")


def _cell(explained: Sum, layer: Windowed, *, keeps_channels: bool) -> str:
    """Return the name of the element on the page, which has two spatial axes and channels last."""
    entry, notation = explained.element, explained.notation
    if entry.array == "db":
        raise _cannot("elements of y, dx and dw", explained.left)
    if entry.array == "dw" and isinstance(layer, Trilinear):
        index = layer.kernel_back(entry.index)
    else:
        index = layer.arranged_back(entry.index)[1:]
    dims = layer.spec.dims
    shown = (*(0,) * (2 - dims), *index[: None if keeps_channels else dims])
    numbers = ",".join(str(n + notation.base) for n in shown)
    return f"{notation.letter(entry.array)}[{numbers}]"


def _check(layer: Windowed, told: Json) -> None:
    """Raise an error for a layer that the page cannot show."""
    spec = layer.spec
    if isinstance(layer, Trilinear) and layer.padding_mode != "zeros":
        raise _cannot("padding_mode 'zeros'", repr(layer.padding_mode))
    if spec.dims > 2:
        raise _cannot("one or two spatial dimensions", spec.dims)
    if layer.batch > 1:
        raise _cannot("one example", f"batch={layer.batch}")
    if max(told["channels"]) > MOST_CHANNELS:
        raise _cannot(f"at most {MOST_CHANNELS} channels", max(told["channels"]))
    for name in ("input", "kernel", "stride", "dilation"):
        if max(told[name]) > LARGEST:
            raise _cannot(f"{name} of at most {LARGEST}", max(told[name]))
    if max(spec.input_dilation) > _MOST_HOLES:
        raise _cannot(f"input_dilation of at most {_MOST_HOLES}", max(spec.input_dilation))
    if max(abs(n) for pair in told["padding"] for n in pair) > LARGEST:
        raise _cannot(f"padding of at most {LARGEST}", told["padding"])
    if max((*_framed(layer), *spec.output, *spec.size)) > 2 * LARGEST:
        raise _cannot(
            f"at most {2 * LARGEST} rows and columns with border and holes", _framed(layer)
        )
    cells = 2 * sum(math.prod(layer.shapes[name].sizes) for name in layer.shapes if name != "b")
    if cells > MOST_CELLS:
        raise _cannot(f"at most {MOST_CELLS:,} cells of all arrays together", f"{cells:,}")


def _framed(layer: Windowed) -> Ints:
    """Return the sizes of the array over which windows slide, with its holes and its border."""
    spec = layer.spec
    numbers = zip(spec.size, spec.input_dilation, layer.padding, strict=True)
    return tuple(e * (n - 1) + 1 + max(low, 0) + max(high, 0) for n, e, (low, high) in numbers)


def _own_of_pool(layer: Pool) -> Json:
    """Return the options that only this kind of pool has."""
    if isinstance(layer, ExtremePool) and layer.function == "max":
        return {"ties": layer.ties}
    if not isinstance(layer, AvgPool):
        raise _cannot("max_pool and avg_pool", layer.op)
    g = layer.g
    inside = [count.clip(1) for _, count in first_and_count(g, ((0, 0),) * g.dims)]
    for counts, includes_padding in ((g.window, True), (inside, False)):
        pairs = zip(layer.counts, counts, strict=True)
        if layer.divisor is None and all(np.all(ours == theirs) for ours, theirs in pairs):
            return {"count_include_pad": includes_padding}
    got = "ceil_mode=True" if layer.divisor is None else f"divisor={layer.divisor:g}"
    raise _cannot(
        "means over the size of the window, or over the elements of x in it",
        f"{got}, which divides by another number",
    )
