"""Batch norm: an element of x reaches the loss directly, through the mean and through the variance.

With m numbers in a channel, r = 1/√(var + ε) and x̂ = (x − mean)·r:

    dx[p] = scale·r·dy[p]  −  1/m · scale·r · Σ dy[j]  −  1/m · scale·r·x̂[p] · Σ dy[j]·x̂[j]

where the sums run over the m positions of the channel.
"""

import itertools
import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from jaxconv._core.arguments import IntOrInts, Layout, as_float, as_int, check_option
from jaxconv._core.geometry import Ints
from jaxconv.explain.axes import check_count
from jaxconv.explain.entry import Arrays, Entry
from jaxconv.explain.factors import Product, Share
from jaxconv.explain.layer import Part
from jaxconv.explain.notation import Shape
from jaxconv.explain.style import Text
from jaxconv.explain.windowed import Images, image_size


class BatchNorm(Images):
    """`jaxconv.batch_norm`, whose loss uses y and neither mean nor var."""

    op = "batch_norm"
    roles = ("x", "scale", "y", "bias")
    elements = ("y", "dx", "dscale", "dbias")
    computed_from = MappingProxyType({"r": "x", "xhat": "x"})

    def __init__(self, batch: int, size: Ints, channels: int, eps: float, layout: Layout) -> None:
        self.layout, self.eps = layout, eps
        self.count = batch * math.prod(size)
        image, per_channel = self.image(batch, size, channels), Shape((channels,), ())
        self.shapes = {"x": image, "y": image, "xhat": image} | dict.fromkeys(
            ("scale", "bias", "r"), per_channel
        )

    def symbols(self, letters: Mapping[str, str]) -> dict[str, str]:
        """Return x̂, with the user's letter."""
        return {"xhat": letters.get("x", "x") + "\u0302"}

    def parts(self, entry: Entry, arrays: Arrays | None = None) -> tuple[Part, ...]:
        """Return the sum of an element of y, dx, dscale or dbias."""
        if entry.array in ("dscale", "dbias"):
            positions = self._positions(entry.index[0])
            return (Part(tuple(_products(positions, hat=entry.array == "dscale"))),)
        channel = (self.arranged_back(entry.index)[-1],)
        scale, r, hat = Entry("scale", channel), Entry("r", channel), Entry("xhat", entry.index)
        if entry.array == "y":
            y = (Product((scale, hat)), Product((Entry("bias", channel),)))
            return (Part(y, notes=self._notes),)
        positions, share = self._positions(channel[0]), Share(self.count)
        direct = (Product((Entry("dy", entry.index),)),)
        through_mean, through_var = (tuple(_products(positions, hat=h)) for h in (False, True))
        return (
            Part(direct, common=(scale, r), path="directly"),
            Part(through_mean, (share, scale, r), negative=True, path="through the mean"),
            Part(
                through_var, (share, scale, r, hat), negative=True, path="through the variance",
                notes=self._notes,
            ),
        )  # fmt: skip

    def complete(self, arrays: Arrays) -> Arrays:
        """Return the arrays with r and x̂, computed from x."""
        if "x" not in arrays:
            return arrays
        x = arrays["x"]
        axis = 1 if self.layout == "channels_first" else x.ndim - 1
        others = tuple(a for a in range(x.ndim) if a != axis)
        centred = x - x.mean(others, keepdims=True)
        r = 1 / np.sqrt((centred**2).mean(others, keepdims=True) + self.eps)
        return {**arrays, "r": r.reshape(-1), "xhat": centred * r}

    def _positions(self, channel: int) -> list[Ints]:
        """Return the indices of all numbers of a channel."""
        *images, _ = self.arranged_back(self.shapes["x"].sizes)
        check_count("numbers of a channel", self.count)
        indices = itertools.product(*map(range, images))
        return [self.arranged((*index, channel)) for index in indices]

    def _notes(self, style: Text) -> list[str]:
        x, hat = style.letter("x"), style.letter("xhat")
        return [
            f"where {hat} = ({x} − mean)·r and r = 1/√(var + ε), with ε = {self.eps:g} and the mean"
            f" and the variance of the {self.count} numbers of the channel"
        ]


def batch_norm(
    *,
    input: IntOrInts = (),  # noqa: A002
    batch: int = 1,
    channels: int = 1,
    eps: float = 1e-5,
    layout: Layout = "channels_last",
) -> BatchNorm:
    """Return `jaxconv.batch_norm` of an input of this size; without `input`, of a table (N, C)."""
    op = "batch_norm"
    check_option(op, "layout", layout, Layout)
    return BatchNorm(
        as_int(op, "batch", batch, 1),
        image_size(op, input) if input != () else (),
        as_int(op, "channels", channels, 1),
        as_float(op, "eps", eps, 0),
        layout,
    )


def _products(positions: list[Ints], *, hat: bool) -> list[Product]:
    """Return dy at all positions, multiplied by x̂ or not."""
    names = ("dy", "xhat") if hat else ("dy",)
    return [Product(tuple(Entry(name, index) for name in names)) for index in positions]
