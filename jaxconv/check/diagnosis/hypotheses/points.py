"""The right gradient for wrong arguments: other values, or those of an earlier call."""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np

from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypotheses.arrangement import with_argument
from jaxconv.check.diagnosis.hypothesis import Guess, register


@register("stale_residual", scaled=False)
def stale_residual(evidence: Evidence) -> Iterator[Guess]:
    """The residuals, or a part of them, are those of the call before."""
    names = evidence.names
    everything = tuple(range(len(names)))
    for which in (everything, *((i,) for i in everything)):

        def predict(o: Observation, which: tuple[int, ...] = which) -> np.ndarray | None:
            if o.earlier is None:
                return None
            arrays = [o.earlier[i] if i in which else a for i, a in enumerate(o.arrays)]
            return o.gradient(evidence.leaf, arrays=arrays)

        what = "all arguments" if which == everything else names[which[0]]
        yield Guess(
            f"d({evidence.name}) is computed from {what} of another call: what is saved does not"
            " belong to this one",
            predict,
        )


_POINTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "0": np.zeros_like,
    "1": np.ones_like,
    "−{}": np.negative,
    "|{}|": np.abs,
    "{}²": np.square,
    "2·{}": lambda a: 2 * a,
    "{}/2": lambda a: a / 2,
    "1/{}": lambda a: 1 / a,
    "exp {}": np.exp,
    "max({}, 0)": lambda a: np.maximum(a, 0),
    "{} + 1": lambda a: a + 1,
    "1 − {}": lambda a: 1 - a,
    "the mean of {}": lambda a: np.full_like(a, a.mean() if a.size else 0.0),
}


_OF_PARAMETERS = ("0", "1", "2·{}", "{}²", "{} + 1", "1 − {}")
"""Changes of another argument than the differentiated one: they mean that it was forgotten."""


def _at(
    evidence: Evidence, which: int, other: Callable[[Observation], np.ndarray]
) -> Callable[[Observation], np.ndarray | None]:
    """Return the prediction that one argument has another value."""

    def predict(o: Observation) -> np.ndarray | None:
        return with_argument(evidence, which, lambda _: other(o))(o)

    return predict


def _changed(which: int, change: Callable[[np.ndarray], np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda o: change(o.arrays[which])


@register("parameter_changed", scaled=False)
def parameter_changed(evidence: Evidence) -> Iterator[Guess]:
    """Another argument is left out, used twice, or 1 is added to it."""
    for which, name in enumerate(evidence.names):
        for words in _OF_PARAMETERS if which != evidence.leaf else ():
            yield Guess(
                f"d({evidence.name}) is computed with {words.format(name)} in the place of {name}",
                _at(evidence, which, _changed(which, _POINTS[words])),
            )


@register("wrong_point")
def wrong_point(evidence: Evidence) -> Iterator[Guess]:
    """The derivative is evaluated at y, at another argument, at −x, at 0, … instead of at x."""
    leaf, names = evidence.leaf, evidence.names

    for which, name in enumerate(names):
        others: dict[str, Callable[[Observation], np.ndarray]] = {"y": lambda o: o.y[0]}
        for i, other in enumerate(names):
            if i != which:
                others[other] = lambda o, i=i: o.arrays[i]  # type: ignore[misc]
        others["dy"] = lambda o: o.dy[0]
        for words, change in _POINTS.items():
            if which == leaf or words not in _OF_PARAMETERS:
                others[words.format(name)] = _changed(which, change)
        for point, value in others.items():
            yield Guess(
                f"d({names[leaf]}) is evaluated at the wrong point: with {point} in the place of"
                f" {name}",
                _at(evidence, which, value),
            )
    for i, j in combinations(range(len(names)), 2):

        def exchanged(o: Observation, i: int = i, j: int = j) -> np.ndarray | None:
            arrays = list(o.arrays)
            arrays[i], arrays[j] = arrays[j], arrays[i]
            if [a.shape for a in arrays] != [a.shape for a in o.arrays]:
                return None
            return o.gradient(leaf, arrays=arrays)

        yield Guess(
            f"d({names[leaf]}) is evaluated at the wrong point: {names[i]} and {names[j]} are"
            " exchanged",
            exchanged,
        )
