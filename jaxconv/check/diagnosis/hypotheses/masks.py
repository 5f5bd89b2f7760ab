"""Mistakes in a mask, which selects the elements that count."""

from collections.abc import Callable, Iterator

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypothesis import Guess, register
from jaxconv.check.diagnosis.numbers import number

FEWEST = 4
"""At least this many different values must be wrong, and as many right, to claim an interval."""


@register("triangle_wrong", scaled=False)
def triangle_wrong(evidence: Evidence) -> Iterator[Guess]:
    """A triangular mask over the last two axes is missing, too large, mirrored or one row off."""
    yield from _diagonals(evidence, band=False)


@register("band_wrong", scaled=False)
def band_wrong(evidence: Evidence) -> Iterator[Guess]:
    """A mask that is a band around the diagonal or beside it is missing, too wide or too narrow."""
    yield from _diagonals(evidence, band=True)


def _diagonals(evidence: Evidence, *, band: bool) -> Iterator[Guess]:
    """Guess that all elements on some diagonals are wrong, namely 0, or not 0 where they should."""
    leaf = evidence.leaf
    got, want = evidence.first.got[leaf], evidence.first.want[leaf]
    if got.ndim < 2 or min(got.shape[-2:]) < 3:
        return
    wrong = _wrong(evidence.first, evidence)
    how = _zeros(wrong, got, want)
    if not how:
        return
    for is_band, words, chosen in _ways(wrong, (got != 0) | (want != 0)):

        def predict(o: Observation, chosen: Chosen = chosen) -> np.ndarray | None:
            g, w = o.got[leaf], o.want[leaf]
            off = np.broadcast_to(chosen(_offsets(g.shape)), g.shape)
            wrong = _wrong(o, evidence)
            if np.any(off & ~wrong & ((g != 0) | (w != 0))) or _zeros(wrong, g, w) not in (how, ""):
                return None
            return np.ma.array(w, mask=off)

        if is_band == band:
            yield Guess(
                f"d({evidence.name}) is {how} on diagonals {words} of its last two axes (column"
                " minus row), and right elsewhere: a mask is missing or in the wrong place",
                predict,
            )


Chosen = Callable[[np.ndarray], np.ndarray]
"""Which diagonals, by column minus row."""


def _ways(wrong: np.ndarray, told: np.ndarray) -> Iterator[tuple[bool, str, Chosen]]:
    """Yield whether it is a band, the diagonals in words, and which they are.

    `told` are the elements that are not 0 on both sides, which say something.
    """
    offsets = np.broadcast_to(_offsets(wrong.shape), wrong.shape)
    bad, known = ({int(d) for d in offsets[which]} for which in (wrong, told))
    if not bad or bad == known:
        return
    low, high, near = min(bad), max(bad), min(map(abs, bad))
    if bad == {d for d in known if d >= low}:
        yield abs(low) > 1, f"{low:+d} and above", lambda d: d >= low
    if bad == {d for d in known if d <= high}:
        yield abs(high) > 1, f"{high:+d} and below", lambda d: d <= high
    if len(bad) == 1:
        yield abs(low) > 1, f"{low:+d}", lambda d: d == low
    if bad == {d for d in known if abs(d) >= near}:
        yield True, f"{-near} and below, {near:+d} and above", lambda d: np.abs(d) >= near


def _offsets(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(shape[-1]) - np.arange(shape[-2])[:, None]


def _zeros(off: np.ndarray, got: np.ndarray, want: np.ndarray) -> str | None:
    """Return "0" if all elements that are off are, "not 0" if all should be; "" without any."""
    if not off.any():
        return ""
    if np.all(got[off] == 0):
        return "0"
    return "not 0" if np.all(want[off] == 0) else None


@register("rows_wrong", scaled=False)
def rows_wrong(evidence: Evidence) -> Iterator[Guess]:
    """The last indices of an axis are 0, or not 0 where they should be: padding, a block's tail."""
    leaf = evidence.leaf
    for axis in range(evidence.first.got[leaf].ndim):

        def predict(o: Observation, axis: int = axis) -> np.ndarray | None:
            tail = _tail(o, evidence, axis)
            return None if tail is None else np.ma.array(o.want[leaf], mask=tail)

        tail = _tail(evidence.first, evidence, axis)
        if tail is None or not tail.any():
            continue
        rows = int(tail.any(tuple(a for a in range(tail.ndim) if a != axis)).sum())
        if 2 * rows > tail.shape[axis]:
            continue
        how = _zeros(_wrong(evidence.first, evidence), evidence.first.got[leaf],
                     evidence.first.want[leaf])  # fmt: skip
        which = f"the last {rows} indices" if rows > 1 else "the last index"
        yield Guess(
            f"d({evidence.name}) is {how} at {which} of axis {axis}, and right elsewhere: rows of"
            " padding, or the tail of a block",
            predict,
        )


def _tail(o: Observation, evidence: Evidence, axis: int) -> np.ndarray | None:
    """Return which elements lie at or behind the first wrong index of an axis; None if others."""
    got, want = o.got[evidence.leaf], o.want[evidence.leaf]
    if got.ndim <= axis:
        return None
    wrong, told = _wrong(o, evidence), (got != 0) | (want != 0)
    rest = tuple(a for a in range(got.ndim) if a != axis)
    rows = np.flatnonzero(wrong.any(rest))
    tail = np.zeros(got.shape, bool)
    if not len(rows):
        return tail
    at = [slice(None)] * got.ndim
    at[axis] = slice(rows[0], None)
    tail[tuple(at)] = True
    if rows[0] == 0 or np.any(tail & told & ~wrong) or _zeros(wrong, got, want) is None:
        return None
    return tail


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
