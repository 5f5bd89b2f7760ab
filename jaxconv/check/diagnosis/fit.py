"""Try every hypothesis on all observations and take the first that explains them to rounding."""

import math

import numpy as np

from jaxconv.check.arrays import largest_gap, root_mean_square
from jaxconv.check.diagnosis import hypotheses  # noqa: F401  (registers them)
from jaxconv.check.diagnosis.evidence import Evidence, Observation
from jaxconv.check.diagnosis.hypothesis import HYPOTHESES, PAGE, Guess
from jaxconv.check.diagnosis.numbers import describe, factor_of, informative, number
from jaxconv.check.diagnosis.repair.search import repair
from jaxconv.check.report import Diagnosis

EXPLAINED = 1e-3
"""An explanation may leave at most this share of the error, even where rounding allows more."""


def diagnose(evidence: Evidence) -> Diagnosis | None:
    """Return the simplest mistake that explains all observations, or None.

    A mistake that explains them alone is preferred to one that also needs a constant factor, and
    that one to a mistake that fits only up to the rounding of a narrow dtype.
    """
    with np.errstate(all="ignore"):
        error = max(misfit(o, o.want[evidence.leaf], evidence.leaf) for o in evidence.observations)
        factored: Diagnosis | None = None
        rough: Diagnosis | None = None
        for known in HYPOTHESES.values():
            if evidence.has_complex and not known.takes_complex:
                continue
            for guess in known.guesses(evidence):
                predicted = guess.predict(evidence.first)
                if predicted is None:
                    continue
                left = _left(evidence, guess, predicted)
                if guess.tolerance is not None:
                    if rough is None and left <= guess.tolerance:
                        rough = Diagnosis(known.name, guess.sentence, left, known.page)
                elif left <= evidence.exact and left <= EXPLAINED * error:
                    return Diagnosis(known.name, guess.sentence, left, known.page)
                elif known.scaled and factored is None and not evidence.has_complex:
                    found = _with_factor(evidence, guess, predicted, error)
                    if found is not None:
                        factored = Diagnosis(known.name, *found, known.page)
        return factored or rough or _repaired(evidence)


def _repaired(evidence: Evidence) -> Diagnosis | None:
    found = None if evidence.has_complex else repair(evidence)
    if found is None:
        return None
    return Diagnosis(found.name, found.sentence, found.residual, f"{PAGE}#{found.name}")


def misfit(observation: Observation, predicted: np.ndarray, leaf: int) -> float:
    """Return the largest difference from the rule's gradient, relative to that gradient's size."""
    got, want = observation.got[leaf], observation.want[leaf]
    if predicted.shape != got.shape:
        return math.inf
    claimed = ~np.ma.getmaskarray(predicted)
    worst = largest_gap(got[claimed], np.asarray(predicted)[claimed])
    return worst / (root_mean_square(got) or root_mean_square(want) or 1.0)


def _left(evidence: Evidence, guess: Guess, predicted: np.ndarray) -> float:
    """Return the largest misfit over all calls; stop at the first call that does not fit."""
    enough = evidence.exact if guess.tolerance is None else guess.tolerance
    left = misfit(evidence.first, predicted, evidence.leaf)
    for other in evidence.observations[1:]:
        if left > enough:
            break
        predicted_there = guess.predict(other)
        if predicted_there is None:
            return math.inf
        left = max(left, misfit(other, predicted_there, evidence.leaf))
    return left


def _with_factor(
    evidence: Evidence, guess: Guess, predicted: np.ndarray, error: float
) -> tuple[str, float] | None:
    """Fit the guess times a factor, which is constant or explained by the shapes."""
    factors: list[float] = []
    left = 0.0
    for o in evidence.observations:
        there = predicted if o is evidence.first else guess.predict(o)
        if there is None:
            return None
        factor = factor_of(o.got[evidence.leaf], there)
        left = max(left, misfit(o, factor * there, evidence.leaf))
        if not factor or not math.isfinite(factor) or not left <= evidence.exact:
            return None
        factors.append(factor)
    if left > EXPLAINED * error or not informative(evidence, factors):
        return None
    said = describe(evidence, factors)
    if said is None:
        return None
    return f"{guess.sentence}; and it is {number(factors[0])} times that{said}", left
