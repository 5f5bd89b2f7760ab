"""Mistakes in the gradient of a normalization: the terms of its mean or variance are missing.

For x̂ = (x − μ)·r the gradient is α·(g − mean g) + β·(x − μ) in each group of numbers that share
μ and r, with g = γ·dy. The term mean g is the path over μ, the last term is the path over r. The
numbers α and β of each group are computed from the right gradient; they give the wrong gradient
that would miss one path.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from jaxconv.check.arrays import as_exact, root_mean_square
from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypothesis import Guess, register
from jaxconv.check.diagnosis.numbers import axis_words

Terms = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
SMALLEST = 4
"""The least size of a group: α and β would explain any gradient of fewer numbers."""
FOUND = 3
"""The least size from which α and β are computed once the groups are known."""


@dataclass(frozen=True)
class _Groups:
    """Which numbers are normalized together, and which argument scales them.

    Attributes:
        axes: the axes of one group, after the split of the channels.
        scale: the position of the argument γ; None to leave γ out.
        at: the axis of the channels.
        centred: whether the mean is subtracted.
        split: the number of groups into which the channels are split; 0 for no split.
    """

    axes: tuple[int, ...]
    scale: int | None
    at: int
    centred: bool
    split: int

    def terms(self, o: Observation, leaf: int, least: int = SMALLEST) -> Terms | None:
        """Return α·g, α·(g − mean g), β·(x − μ) and the right gradient, in the grouped shape."""
        x, want, dy = o.arrays[leaf], _of_first_output(o, leaf), o.dy[0]
        if want is None or dy.shape != x.shape:
            return None
        g = dy
        if self.scale is not None:
            gamma = o.arrays[self.scale]
            across = sorted(self.axes)
            if not self.split and gamma.ndim == len(across) > 1:
                if gamma.shape == tuple(x.shape[a] for a in across if a < x.ndim):
                    gamma = gamma.reshape([n if a in across else 1 for a, n in enumerate(x.shape)])
            elif gamma.ndim == 1:
                shape = [-1 if axis == self.at % x.ndim else 1 for axis in range(x.ndim)]
                gamma = gamma.reshape(shape)
            if gamma.ndim > x.ndim or any(
                s not in (1, n) for s, n in zip(gamma.shape[::-1], x.shape[::-1], strict=False)
            ):
                return None
            g = dy * gamma
        if self.split:
            channels = x.shape[self.at]
            if channels % self.split:
                return None
            at = self.at % x.ndim
            shape = [*x.shape[:at], self.split, channels // self.split, *x.shape[at + 1 :]]
            x, g, want = x.reshape(shape), g.reshape(shape), want.reshape(shape)
        if max(self.axes) >= x.ndim or np.prod([x.shape[a] for a in self.axes]) < least:
            return None

        def total(a: np.ndarray) -> np.ndarray:
            return a.sum(self.axes, keepdims=True)

        count = np.prod([x.shape[a] for a in self.axes])
        d = g - total(g) / count if self.centred else g
        c = x - total(x) / count if self.centred else x
        dd, dc, cc = total(d * d), total(d * c), total(c * c)
        dw, cw = total(d * want), total(c * want)
        det = dd * cc - dc**2
        alpha, beta = (dw * cc - cw * dc) / det, (cw * dd - dw * dc) / det
        return alpha * g, alpha * d, beta * c, want

    @property
    def words(self) -> str:
        """The axes in words."""
        if self.split:
            return f"the {self.split} groups of channels"
        return axis_words(self.axes)


def _of_first_output(o: Observation, leaf: int) -> np.ndarray | None:
    """Return the right gradient through the first output only, not through returned statistics."""
    if len(o.dy) == 1:
        return o.want[leaf]
    return o.gradient(leaf, dy=[o.dy[0], *map(np.zeros_like, o.dy[1:])])


def _groups(evidence: Evidence) -> Iterator[_Groups]:
    """Yield the groups for which the right gradient has the form of a normalization's."""
    leaf, first = evidence.leaf, evidence.first
    x = first.want[leaf]
    if x.ndim == 0 or first.dy[0].shape != x.shape:
        return
    plain = [axes for n in range(1, x.ndim + 1) for axes in combinations(range(x.ndim), n)]
    layouts: list[tuple[tuple[int, ...], int, int]] = [(axes, -1, 0) for axes in plain]
    layouts += [(axes, 1, 0) for axes in plain if x.ndim > 2]
    for at in (-1, 1) if x.ndim > 2 else (-1,):
        inner = tuple(range(2, x.ndim + 1)) if at == 1 else (*range(1, x.ndim - 1), x.ndim)
        channels = x.shape[at]
        layouts += [(inner, at, g) for g in range(2, channels) if channels % g == 0]
    scales: list[int | None] = [None, *(i for i in range(len(evidence.names)) if i != leaf)]
    for axes, at, split in layouts:
        for scale in scales:
            if at == 1 and scale is None and not split:
                continue
            for centred in (True, False):
                groups = _Groups(axes, scale, at, centred, split)
                terms = groups.terms(first, leaf)
                if terms is None:
                    continue
                _, d, c, want = terms
                size = np.sqrt(np.mean(want**2))
                # Where the last term is 0, this is no normalization but some linear map.
                if (
                    np.max(np.abs(d + c - want)) <= evidence.exact * size
                    and np.max(np.abs(c)) > evidence.exact * size
                ):
                    yield groups


def _without(
    evidence: Evidence,
    sentence: str,
    keep: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    *,
    only_centred: bool = True,
) -> Iterator[Guess]:
    leaf = evidence.leaf
    for groups in _groups(evidence):
        if only_centred and not groups.centred:
            continue

        def predict(o: Observation, groups: _Groups = groups) -> np.ndarray | None:
            terms = groups.terms(o, leaf, FOUND)
            if terms is None:  # some calls tell nothing, such as those with one example
                return None if o is evidence.first else np.ma.masked_all(o.want[leaf].shape)
            wrong = keep(*terms[:3])
            return o.want[leaf] + (wrong - terms[3]).reshape(o.want[leaf].shape)

        yield Guess(sentence.format(evidence.name, groups.words), predict)


@register("mean_term_missing")
def mean_term_missing(evidence: Evidence) -> Iterator[Guess]:
    """The path over the mean μ is missing."""
    yield from _without(
        evidence,
        "the path over the mean is missing in d({}): the mean of the cotangent over {} is not"
        " taken off",
        lambda g, d, c: g + c,
    )


@register("variance_term_missing")
def variance_term_missing(evidence: Evidence) -> Iterator[Guess]:
    """The path over the variance, that is over r, is missing."""
    yield from _without(
        evidence,
        "the path over the variance is missing in d({}): the term with x̂ over {} is left out",
        lambda g, d, c: d,
        only_centred=False,
    )


@register("statistics_constant")
def statistics_constant(evidence: Evidence) -> Iterator[Guess]:
    """Both paths are missing."""
    yield from _without(
        evidence,
        "mean and variance are treated as constants in d({}): both paths over {} are missing",
        lambda g, d, c: g,
    )


@register("epsilon_forgotten", scaled=False)
def epsilon_forgotten(evidence: Evidence) -> Iterator[Guess]:
    """The small number under the root is missing.

    A normalization does not change if its argument is scaled, except for that number, which does
    not count for a large argument.
    """
    leaf = evidence.leaf
    for which, name in enumerate(evidence.names):

        def predict(o: Observation, which: int = which) -> np.ndarray | None:
            if o.truth is None:
                return None
            arrays = [a * _LARGE if i == which else a for i, a in enumerate(o.arrays)]
            y, gradients = o.truth(arrays, list(o.dy))
            for here, there in zip(o.y, map(as_exact, y), strict=True):
                if root_mean_square(there - here) > SAME * root_mean_square(here):
                    return None  # no normalization
            return as_exact(gradients[leaf]) * (_LARGE if which == leaf else 1.0)

        yield Guess(
            f"d({evidence.name}) lacks the small number that is added to the variance of {name}",
            predict,
        )


_LARGE = 1e6
SAME = 0.3
"""By this share, at most, does an epsilon change what a normalization returns."""
