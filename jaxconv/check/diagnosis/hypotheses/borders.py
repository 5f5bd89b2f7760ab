"""Gradients wrong at the border only: windows that reach over it are weighted wrongly."""

from collections.abc import Iterator

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypotheses.arrangement import with_cotangent
from jaxconv.check.diagnosis.hypothesis import Guess, register
from jaxconv.check.diagnosis.numbers import axis_words, number

_OFTEN = (0.0, 0.5, 2.0, 2 / 3, 1.5, 3.0, 1 / 3, 0.75, 4 / 3)
"""Factors to try for a cotangent at the border: windows of 2, 3 or 4 overhang it by 1 or 2."""


def _layers(shape: tuple[int, ...], axes: tuple[int, ...], width: int, side: str) -> np.ndarray:
    """Return, for each element, along how many of these axes it lies at the border."""
    count = np.zeros(shape, int)
    for axis in axes:
        index = np.arange(shape[axis])
        low, high = index < width, index >= shape[axis] - width
        at = {"both sides": low | high, "the low side": low, "the high side": high}[side]
        count = count + at.reshape([-1 if n == axis else 1 for n in range(len(shape))])
    return count


def _borders(rank: int) -> Iterator[tuple[tuple[int, ...], int, str]]:
    for count in range(1, min(rank, 3) + 1):
        for start in range(rank - count + 1):
            for width in (1, 2):
                for side in ("both sides", "the low side", "the high side"):
                    yield tuple(range(start, start + count)), width, side


@register("border_wrong", scaled=False)
def border_wrong(evidence: Evidence) -> Iterator[Guess]:
    """Elements at the border are 0, or off by one factor for each axis that ends there."""
    leaf, first = evidence.leaf, evidence.first
    got, want = first.got[leaf], first.want[leaf]
    for axes, width, side in _borders(want.ndim):
        if any(want.shape[axis] <= 2 * width for axis in axes):
            continue
        layers = _layers(want.shape, axes, width, side)
        once = np.where(layers == 1, np.abs(want), 0)
        index = np.unravel_index(int(np.argmax(once)), once.shape)
        factor = float(got[index] / want[index]) if once[index] else 0.0
        if not np.isfinite(factor):
            continue
        where = f"within {width} of the border of {axis_words(axes)}, {side}"

        def predict(
            o: Observation,
            axes: tuple[int, ...] = axes,
            width: int = width,
            side: str = side,
            factor: float = factor,
        ) -> np.ndarray:
            there = o.want[leaf]
            return there * factor ** _layers(there.shape, axes, width, side)

        how = f"{number(factor)} times what it should be" if factor else "0"
        yield Guess(f"d({evidence.name}) is right inside and {how} {where}", predict)
    for axes, width, side in _borders(first.dy[0].ndim):
        if any(first.dy[0].shape[axis] <= 2 * width for axis in axes):
            continue
        for factor in _OFTEN:

            def change(
                d: np.ndarray,
                axes: tuple[int, ...] = axes,
                width: int = width,
                side: str = side,
                factor: float = factor,
            ) -> np.ndarray:
                return d * factor ** _layers(d.shape, axes, width, side)

            yield Guess(
                f"outputs within {width} of the border of {axis_words(axes)} of y, {side}, count"
                f" {number(factor) if factor else 0} times in d({evidence.name})",
                with_cotangent(evidence, change),
            )
