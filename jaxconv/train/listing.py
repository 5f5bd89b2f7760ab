"""Tables of networks: of all there are, and of the layers of one."""

import math

from jaxconv._core.extras import needs
from jaxconv.models import MODELS, Params, find
from jaxconv.models.cost import BATCH, Cost, cost_of
from jaxconv.models.leaves import named
from jaxconv.models.named import USUAL

with needs("train"):
    from rich.table import Table

MOST, FEW = 24, 3
"""With more layers, those of a block are one row; more arrays of a row are counted."""


def models() -> Table:
    """Return a table of all networks by name, with what they cost."""
    table = _table("network", "images", "classes", "parameters", "multiply-adds", "step")
    for name, (shape, classes) in USUAL.items():
        cost = cost_of(MODELS[name], shape, classes)
        table.add_row(name, _times(shape), f"{classes:,}", *_cells(cost))
    return table


NOTE = (
    f"Multiply-adds of one image, forward; memory of a step of {BATCH} images with adamw. The"
    " networks take images of other sizes and other numbers of classes, too."
)


def layers(params: Params) -> Table:
    """Return a table of the layers of a network, or of its blocks if there are many layers."""
    table = _table("layer", "parameters", "how many")
    for name, shapes in _rows(params).items():
        size = sum(math.prod(shape) for shape in shapes)
        table.add_row(name, _said(shapes), f"{size:,}")
    return table


def cost(model: str, image_shape: tuple[int, ...], classes: int) -> str:
    """Say what a network costs on these images."""
    parameters, adds, memory = _cells(cost_of(find(model), image_shape, classes))
    return (
        f"{parameters} parameters, {adds} multiply-adds an image, {memory} for a step of"
        f" {BATCH} images"
    )


def _rows(params: Params) -> dict[str, list[tuple[int, ...]]]:
    """Return the shapes of the parameters of each layer; a block has a common beginning of names.

    The blocks are the smallest ones of which there are at most MOST.
    """
    leaves = [(name.split(".")[:-1], leaf.shape) for name, leaf in named(params)]
    deepest = max((len(parts) for parts, _ in leaves), default=1)
    for depth in range(deepest, 0, -1):
        rows: dict[str, list[tuple[int, ...]]] = {}
        for parts, shape in leaves:
            rows.setdefault(".".join(parts[:depth]), []).append(shape)
        if len(rows) <= MOST:
            break
    return rows


def _said(shapes: list[tuple[int, ...]]) -> str:
    if len(shapes) > FEW:
        return f"{len(shapes)} arrays"
    return ", ".join(_times(shape) or "1" for shape in shapes)


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _table(*columns: str) -> Table:
    """Return an empty table, whose columns after the first two are numbers."""
    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < 2 else "right")
    return table


def _cells(cost: Cost) -> tuple[str, str, str]:
    return (
        f"{cost.parameters:,}",
        f"{cost.multiply_adds / 1e6:,.1f} M",
        f"{cost.step_bytes / 2**20:,.0f} MB",
    )
