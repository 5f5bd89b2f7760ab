"""Mistakes in a mask, which selects the elements that count."""

from collections.abc import Iterator

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypothesis import Guess, register
from jaxconv.check.diagnosis.numbers import number

FEWEST = 4
"""At least this many different values must be wrong, and as many right, to claim an interval."""


@register("mask_missing")
def mask_missing(evidence: Evidence) -> Iterator[Guess]:
    """The gradient is right where it should not be 0, and not 0 where it should be."""
    leaf = evidence.leaf

    def predict(o: Observation) -> np.ndarray | None:
        got, want = o.got[leaf], o.want[leaf]
        masked = want == 0
        if masked.sum() < 2 or (~masked).sum() < 2 or np.mean(got[masked] != 0) < 0.9:
            return None
        return np.ma.array(want, mask=masked)

    zeros = int(np.sum(evidence.first.want[leaf] == 0))
    yield Guess(
        f"the mask is missing in d({evidence.name}): it is not 0 at {zeros} elements that should"
        " be, and right at all others",
        predict,
    )


def _wrong(o: Observation, evidence: Evidence) -> np.ndarray:
    got, want = o.got[evidence.leaf], o.want[evidence.leaf]
    size = np.sqrt(np.mean(want**2))
    return ~(np.abs(got - want) <= evidence.exact * size)


@register("mask_threshold", scaled=False)
def mask_threshold(evidence: Evidence) -> Iterator[Guess]:
    """The gradient is wrong exactly where the argument or y lies in an interval."""
    leaf = evidence.leaf
    for position, name in ((leaf, evidence.name), (None, "y")):
        found = _interval(evidence, position)
        if found is None:
            continue
        low, high, how = found
        between = f"{name} is from {low:.3g} to {high:.3g}"
        if np.isinf(high):
            between = f"{name} is {low:.3g} or more"
        elif np.isinf(low):
            between = f"{name} is {high:.3g} or less"

        def predict(
            o: Observation, position: int | None = position, low: float = low, high: float = high
        ) -> np.ndarray:
            values = _values(o, position)
            return np.ma.array(o.want[leaf], mask=(values >= low) & (values <= high))

        yield Guess(
            f"d({evidence.name}) is {how} where {between}, and right elsewhere:".replace("-", "−")
            + " the threshold is wrong",
            predict,
        )


def _values(o: Observation, position: int | None) -> np.ndarray:
    return o.y[0] if position is None else o.arrays[position]


def _interval(evidence: Evidence, position: int | None) -> tuple[float, float, str] | None:
    """Return the interval of values with wrong gradients and what is wrong there, or None."""
    leaf = evidence.leaf
    off, on, got, want = [], [], [], []
    for o in evidence.observations:
        values, wrong = _values(o, position), _wrong(o, evidence)
        if values.shape != wrong.shape:
            return None
        off.append(values[wrong])
        on.append(values[~wrong])
        got.append(o.got[leaf][wrong])
        want.append(o.want[leaf][wrong])
    bad, good = np.unique(np.concatenate(off)), np.unique(np.concatenate(on))
    if len(bad) < FEWEST or len(good) < FEWEST:
        return None
    low, high = float(bad[0]), float(bad[-1])
    if np.any((good >= low) & (good <= high)):
        return None
    low = -np.inf if not np.any(good < low) else low
    high = np.inf if not np.any(good > high) else high
    g, w = np.concatenate(got), np.concatenate(want)
    if np.all(g == 0):
        return low, high, "0"
    if np.all(w == 0):
        return low, high, "not 0"
    if np.all(np.abs(g / w - g[0] / w[0]) <= 1e-6 * np.abs(g[0] / w[0])):
        return low, high, f"{number(float(g[0] / w[0]))} times what it should be"
    return None
