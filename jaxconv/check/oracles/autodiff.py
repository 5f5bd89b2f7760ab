"""The autodiff oracle: compare with the reference's gradients, and collect evidence if wrong."""

import numpy as np

from jaxconv._core.types import Values
from jaxconv.check.arrays import Arrays, as_float64, widen
from jaxconv.check.compare import compare
from jaxconv.check.diagnosis import Evidence, Observation, smaller
from jaxconv.check.state import Check
from jaxconv.check.trial import Trial


def autodiff(check: Check, gradients: list[Arrays]) -> None:
    """Compare every gradient with the truth, for every cotangent."""
    trial = check.exact
    if trial.truth is None:
        return
    arrays = widen(trial.leaves.arrays)
    want = [trial.truth(arrays, dy)[1] for dy in trial.dys]
    for leaf, name in enumerate(trial.leaves.names):
        for got_all, want_all in zip(gradients, want, strict=True):
            check.report.checks += 1
            g, w = as_float64(got_all[leaf]), as_float64(want_all[leaf])
            if np.isnan(w).any() and not np.isnan(g).all():
                check.note(
                    f"autodiff of the reference is NaN in parts of d({name});"
                    " left to differences there"
                )
                w = np.where(np.isnan(w), g, w)
            mismatch = trial.off(leaf, g, w, trial.allowed(leaf, w, check.tolerance))
            if mismatch is not None:
                evidence = _evidence(check, leaf, gradients) if check.diagnosed else None
                check.fail_where(mismatch, name, "autodiff", trial, f"d({name})", evidence=evidence)
                if check.every_oracle:
                    return
                break


def _evidence(check: Check, leaf: int, gradients: list[Arrays]) -> Evidence:
    """Collect observations, for several cotangents and shapes, that tell mistakes apart."""
    trial = check.exact
    observations = [
        Observation.of(trial, dy, got) for dy, got in zip(trial.dys, gradients, strict=True)
    ]
    for args in check.others or smaller(check.args):
        seen = _observed(check, args)
        if seen is not None and len(seen.arrays) == len(trial.leaves.names):
            observations.append(seen)
        if len(observations) == len(trial.dys) + 2:
            break
    exact = max(1e-9, 100 * trial.eps)
    return Evidence(leaf, trial.leaves.names, observations, exact)


def _observed(check: Check, args: Values) -> Observation | None:
    """Observe rule and truth at other arguments; None where they fail or their values differ."""
    try:
        other = Trial(
            check.rule, check.reference, args, check.exact.dtype, 1, check.seed + 7,
            None, check.precedents,
        )  # fmt: skip
        assert other.truth is not None
        dy = other.dys[0]
        seen = Observation.of(other, dy, other.pull(other.leaves.arrays, dy)[1])
        right = other.truth(other.leaves.arrays, dy)[0]
    except Exception:
        return None
    for y, r in zip(seen.y, map(as_float64, right), strict=True):
        if compare(y, r, other.allowed_value(r)) is not None or not y.size:
            return None
    return seen
