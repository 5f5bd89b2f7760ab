"""Pools: the windows that read a position, and the share of its cotangent that each gives it."""

import math
from abc import abstractmethod

from jaxconv._core.arguments import Ties
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Pairs, Windows
from jaxconv._core.windows import first_and_count
from jaxconv.explain.axes import same_axis, spatial_axis
from jaxconv.explain.entry import Arrays, Entry, Factor
from jaxconv.explain.factors import Power, Product, Share
from jaxconv.explain.folds import Extreme, Root
from jaxconv.explain.layer import Part
from jaxconv.explain.style import Text
from jaxconv.explain.windowed import WHY, Windowed
from jaxconv.explain.winner import NormPower, Winner


class Pool(Windowed):
    """A pool, whose windows all do the same and whose channels do not mix.

    Args:
        op: its name.
        g: its windows.
        batch: the number of examples.
        channels: the number of channels.
    """

    roles = ("x", None, "y", None)
    elements = ("y", "dx")

    def __init__(self, op: str, g: Windows, batch: int, channels: int) -> None:
        self.op, self.g, self.batch, self.layout = op, g, batch, g.layout
        self.spec = ConvSpec(
            size=g.size, window=g.window, stride=g.stride, dilation=g.dilation,
            input_dilation=(1,) * g.dims, padding=g.covering, groups=channels,
            channels_in=channels, channels_out=channels,
        )  # fmt: skip
        self.slots = {"x": "position", "y": "window"}
        spatial = [spatial_axis(self.spec, dim) for dim in range(g.dims)]
        self.axes = [same_axis(batch), *spatial, same_axis(channels)]
        x, y = (self.image(batch, size, channels) for size in (g.size, g.output))
        self.shapes = {"x": x, "y": y}

    @property
    def padding(self) -> Pairs:
        """The padding; with `ceil_mode` that with which the last window ends with it."""
        return self.g.covering if self.g.ceil_mode else self.g.padding

    def parts(self, entry: Entry, arrays: Arrays | None = None) -> tuple[Part, ...]:
        """Return what an element of y is made of, or the sum of an element of dx."""
        if entry.array == "y":
            return (self.forward(entry, self._others(entry, "x")),)
        x = Entry("x", entry.index)
        return (self.backward(x, self._others(x, "y"), arrays),)

    @abstractmethod
    def forward(self, y: Entry, seen: tuple[Entry, ...]) -> Part:
        """Return what an element of y is made of, given the elements of x in its window."""

    @abstractmethod
    def backward(self, x: Entry, windows: tuple[Entry, ...], arrays: Arrays | None) -> Part:
        """Return the gradient of an element of x, given the elements of y whose windows read it."""

    def seen(self, y: Entry) -> tuple[Entry, ...]:
        """Return the elements of x that a window reads, in row-major order."""
        return self._others(y, "x")

    def _others(self, entry: Entry, name: str) -> tuple[Entry, ...]:
        """Return the elements of the array `name` that meet an element of the other array."""
        triples = self.triples(entry.array, self.arranged_back(entry.index))
        return tuple(Entry(name, self.image_index(name, each)) for each in triples)


class AvgPool(Pool):
    """`jaxconv.avg_pool` as a layer that can be written out."""

    def __init__(
        self, g: Windows, batch: int, channels: int, include_pad: bool, divisor: float | None
    ) -> None:
        super().__init__("avg_pool", g, batch, channels)
        border = g.padding if include_pad else ((0, 0),) * g.dims
        self.counts = [count.clip(1) for _, count in first_and_count(g, border)]
        self.divisor = divisor

    def forward(self, y: Entry, seen: tuple[Entry, ...]) -> Part:
        """Return the mean of a window."""
        products = tuple(Product((x,)) for x in seen)
        return Part(products, common=(self._share(y),), why_empty=WHY["window"])

    def backward(self, x: Entry, windows: tuple[Entry, ...], arrays: Arrays | None) -> Part:
        """Return the sum of the shares."""
        products = (Product((self._share(y), Entry("dy", y.index))) for y in windows)
        return Part(tuple(products), why_empty=WHY["position"])

    def _share(self, y: Entry) -> Share:
        if self.divisor is not None:
            return Share(self.divisor)
        _, *index, _ = self.arranged_back(y.index)
        return Share(math.prod(int(count[i]) for count, i in zip(self.counts, index, strict=True)))


class ExtremePool(Pool):
    """`jaxconv.max_pool` or, with the function "min", `jaxconv.min_pool`, to be written out."""

    chooses = True

    def __init__(self, g: Windows, batch: int, channels: int, ties: Ties, function: str) -> None:
        super().__init__(f"{function}_pool", g, batch, channels)
        self.ties, self.function = ties, function

    def forward(self, y: Entry, seen: tuple[Entry, ...]) -> Part:
        """Return the extreme of a window."""
        products = tuple(Product((x,)) for x in seen)
        return Part(products, fold=Extreme(self.function), why_empty=WHY["window"])

    def backward(self, x: Entry, windows: tuple[Entry, ...], arrays: Arrays | None) -> Part:
        """Return the sum of the cotangents of the windows that x wins."""
        shares = [Winner(x, y, self.seen(y), self.ties, self.function) for y in windows]
        if arrays is None or "x" not in arrays:
            products = (Product((Entry("dy", share.y.index), share)) for share in shares)
            notes = self._notes if windows else Part.notes
            return Part(tuple(products), why_empty=WHY["position"], notes=notes)
        products = (self._won(share, arrays) for share in shares if share.value(arrays))
        why = f"it is the {self.function}imum of no window" if windows else WHY["position"]
        return Part(tuple(products), why_empty=why)

    def _won(self, share: Winner, arrays: Arrays) -> Product:
        """Return the product of a window that x wins, alone or with others."""
        count = share.count(arrays)
        split: tuple[Factor, ...] = (Share(count),) if count > 1 else ()
        return Product((*split, Entry("dy", share.y.index)))

    def _notes(self, style: Text) -> list[str]:
        x, y = style.letter("x"), style.letter("y")
        if self.ties == "first":
            condition = f"[{style.argument(self.function)} {y}[…] = {x}[…]]"
            wins = "and the first of equal ones in row-major order"
            return [f"where {condition} is 1 if {x}[…] is the {self.function}imum {wins}, else 0"]
        lines = [f"where [{x}[…] = {y}[…]] is 1 if {x}[…] is a {self.function}imum, else 0"]
        if self.ties == "split":
            lines.append(f"and ties({y}[…]) is the number of elements that are")
        return lines


class LpPool(Pool):
    """`jaxconv.lp_pool` as a layer that can be written out."""

    def __init__(self, g: Windows, batch: int, channels: int, p: float) -> None:
        super().__init__("lp_pool", g, batch, channels)
        self.p = p

    def forward(self, y: Entry, seen: tuple[Entry, ...]) -> Part:
        """Return the p-norm of a window."""
        products = tuple(Product((Power(x, self.p),)) for x in seen)
        return Part(products, fold=Root(self.p), why_empty=WHY["window"])

    def backward(self, x: Entry, windows: tuple[Entry, ...], arrays: Arrays | None) -> Part:
        """Return sign(x)·|x|^(p − 1) times the sum of dy·y^(1 − p)."""
        products = (Product((Entry("dy", y.index), *self._norm(y))) for y in windows)
        common = (Power(x, self.p - 1, signed=True),)
        return Part(tuple(products), common=common, why_empty=WHY["position"])

    def _norm(self, y: Entry) -> tuple[Factor, ...]:
        return () if self.p == 1 else (NormPower(y, self.seen(y), self.p, 1 - self.p),)
