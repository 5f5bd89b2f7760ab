"""Windows in other places: a stride, a dilation or a padding that the backward pass forgot.

The Jacobian shows which positions of the argument each output reads. Along one axis, output i of a
convolution or a pool reads the positions q = s·i + d·a − low, with a = 0 … K − 1. The gradient
shows in the same way which positions the rule thinks of, and the two geometries are compared.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypothesis import Guess, register

MOST = 4
"""The largest stride and dilation that are tried."""
WIDEST = 7
"""The largest window that is tried."""


@dataclass(frozen=True, order=True)
class Windows:
    """Windows along one axis: output i reads the positions stride·i + dilation·a − low."""

    window: int
    dilation: int
    stride: int
    low: int

    def positions(self, outputs: int) -> np.ndarray:
        """Return the position that each output reads with each element of its window."""
        i, a = np.arange(outputs)[:, None], np.arange(self.window)[None, :]
        return self.stride * i + self.dilation * a - self.low

    def relation(self, outputs: int, size: int) -> np.ndarray:
        """Return which output reads which position, as booleans [output, position]."""
        found = np.zeros((outputs, size), bool)
        for i, positions in enumerate(self.positions(outputs)):
            found[i, [p for p in positions if 0 <= p < size]] = True
        return found


def windows_of(relation: np.ndarray) -> Windows | None:
    """Return the windows that give this relation, those with the fewest elements first."""
    outputs, size = relation.shape
    per_output = int(relation.sum(axis=1).max(initial=0))
    if not 1 <= per_output <= WIDEST or outputs < 2:
        return None
    for window in range(per_output, min(per_output + 3, WIDEST + 1)):
        dilations = range(1, MOST + 1) if window > 1 else (1,)
        for dilation, stride in itertools.product(dilations, range(1, MOST + 1)):
            for low in range(-MOST, dilation * window):
                found = Windows(window, dilation, stride, low)
                if np.array_equal(found.relation(outputs, size), relation):
                    return found
    return None


def _moved(right: np.ndarray, here: Windows, there: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Move Jacobian entries from the right windows to others, along the last two axes.

    Returns:
        The moved Jacobian, and which of its entries the right one does not show, because the right
        position lies outside of the array.
    """
    outputs, size = right.shape[-2:]
    moved, unknown = np.zeros_like(right), np.zeros(right.shape, bool)
    pairs = zip(here.positions(outputs), there.positions(outputs), strict=True)
    for i, (froms, tos) in enumerate(pairs):
        for q, to in zip(froms, tos, strict=True):
            if not 0 <= to < size:
                continue
            if 0 <= q < size:
                moved[..., i, to] += right[..., i, q]
            else:
                unknown[..., i, to] = True
    return moved, unknown


Axis = tuple[int, int, Windows, Windows]


def _axes(o: Observation, leaf: int) -> list[Axis]:
    """Return the pairs of axes of y and x whose windows differ, with the right and the wrong ones.

    x and y have as many axes, and those of one number belong together.
    """
    right, own = o.jacobian(leaf), o.own_jacobian(leaf)
    ndim = o.arrays[leaf].ndim
    if right is None or own is None or right.ndim != 2 * ndim:
        return []
    found = []
    shown = [np.abs(j) > 1e-9 * np.max(np.abs(j), initial=0.0) for j in (right, own)]
    for axis in range(ndim):
        others = tuple(k for k in range(2 * ndim) if k not in (axis, axis + ndim))
        relations = [s.any(axis=others) for s in shown]
        if np.array_equal(*relations):
            continue
        here, there = map(windows_of, relations)
        if here is None or there is None or here.window != there.window:
            return []
        found.append((axis, axis + ndim, here, there))
    return found


def _predicted(o: Observation, leaf: int) -> np.ndarray | None:
    """Return the gradient if the right Jacobian's entries stand where the rule has its windows."""
    right = o.jacobian(leaf)
    axes = _axes(o, leaf)
    if right is None or not axes:
        return None
    unknown = np.zeros(right.shape, bool)
    for out, position, here, there in axes:
        right, lost = _moved(np.moveaxis(right, (out, position), (-2, -1)), here, there)
        right = np.moveaxis(right, (-2, -1), (out, position))
        known, more = _moved(
            np.moveaxis(unknown.astype(float), (out, position), (-2, -1)), here, there
        )
        unknown = np.moveaxis((known > 0) | lost | more, (-2, -1), (out, position))
    outs = tuple(range(o.dy[0].ndim))
    gradient = np.tensordot(o.dy[0], right, (outs, outs))
    hidden = unknown.any(axis=outs)
    return None if hidden.mean() > 0.5 else np.ma.masked_array(gradient, hidden)


def _guess(evidence: Evidence, name: str, what: str, field: str) -> Iterator[Guess]:
    """Guess that the windows differ in one field only."""
    axes = _axes(evidence.first, evidence.leaf)
    if not axes:
        return
    for _, _, here, there in axes:
        if replace(there, **{field: getattr(here, field)}) != here:
            return
    _, _, here, there = axes[0]
    right, wrong = getattr(here, field), getattr(there, field)
    yield Guess(
        f"d({evidence.name}) is computed with the {what} {wrong} instead of {right}",
        partial(_predicted, leaf=evidence.leaf),
    )


@register("stride_forgotten")
def stride_forgotten(evidence: Evidence) -> Iterator[Guess]:
    """The windows of the backward pass have another distance."""
    yield from _guess(evidence, "stride_forgotten", "stride", "stride")


@register("dilation_forgotten")
def dilation_forgotten(evidence: Evidence) -> Iterator[Guess]:
    """The elements of a window have another distance in the backward pass."""
    yield from _guess(evidence, "dilation_forgotten", "dilation", "dilation")


@register("padding_forgotten")
def padding_forgotten(evidence: Evidence) -> Iterator[Guess]:
    """The windows of the backward pass begin elsewhere."""
    yield from _guess(evidence, "padding_forgotten", "padding before the first element", "low")
