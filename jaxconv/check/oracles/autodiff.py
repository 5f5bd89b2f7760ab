"""The autodiff oracle: compare with the reference's gradients, and collect evidence if wrong."""

import jax
import numpy as np

from jaxconv._core.types import Values
from jaxconv.check.arrays import Arrays, as_exact, widen
from jaxconv.check.compare import compare
from jaxconv.check.diagnosis import Evidence, Observation, smaller
from jaxconv.check.leaves import Leaves
from jaxconv.check.oracles.transformations import FUSED
from jaxconv.check.report import Diagnosis
from jaxconv.check.state import Check
from jaxconv.check.trial import Trial

SCALE = 1.07
"""By this factor all numbers are larger in one more observation."""


def autodiff(check: Check, gradients: list[Arrays]) -> None:
    """Compare every gradient with the truth, for every cotangent."""
    trial = check.exact
    if trial.truth is None:
        return
    arrays = widen(trial.leaves.arrays)
    want = [trial.truth(arrays, dy)[1] for dy in trial.dys]
    for leaf, name in enumerate(trial.leaves.names):
        for dy, got_all, want_all in zip(trial.dys, gradients, want, strict=True):
            check.report.checks += 1
            g, w = as_exact(got_all[leaf]), as_exact(want_all[leaf])
            if np.isnan(w).any() and not np.isnan(g).all():
                check.note(
                    f"autodiff of the reference is NaN in parts of d({name});"
                    " left to differences there"
                )
                w = np.where(np.isnan(w), g, w)
            mismatch = trial.off(leaf, g, w, trial.allowed(leaf, w))
            if mismatch is not None:
                found = _compiled_only(trial, leaf, dy, w)
                if found is not None and mismatch.relative < FUSED:
                    continue
                evidence = None
                if check.diagnosed and found is None:
                    evidence = evidence_of(check, trial, leaf, gradients)
                check.fail_where(
                    mismatch, name, "autodiff", trial, f"d({name})",
                    evidence=evidence, diagnosis=found,
                )  # fmt: skip
                if check.every_oracle:
                    return
                break


def _compiled_only(trial: Trial, leaf: int, dy: Arrays, want: np.ndarray) -> Diagnosis | None:
    """Return the diagnosis of a gradient that is right if the rule is not compiled."""
    got = as_exact(trial.eager(trial.leaves.arrays, dy)[1][leaf])
    if trial.off(leaf, got, want, trial.allowed(leaf, want)) is not None:
        return None
    name = trial.leaves.names[leaf]
    return Diagnosis("compiled_only", f"d({name}) is right, and wrong only under jit", 0.0)


def evidence_of(check: Check, trial: Trial, leaf: int, gradients: list[Arrays]) -> Evidence:
    """Collect observations, for several cotangents and shapes, that tell mistakes apart.

    The truth of the trial is right; it is the check's own one, or one that knows more.
    """
    # Cotangents that do not cancel are left out: a normalization's gradient for ones is 0.
    random = zip(trial.dys[: check.cotangents], gradients[: check.cotangents], strict=True)
    observations = [Observation.of(trial, dy, got) for dy, got in random]
    moved = _moved(check, trial)
    if moved is not None:
        observations.append(moved)
    for args in check.others or smaller(check.args):
        seen = _observed(check, trial, args)
        if seen is not None and len(seen.arrays) == len(trial.leaves.names):
            observations.append(seen)
        if len(observations) == check.cotangents + 3:
            break
    exact = max(1e-9, 100 * trial.eps)
    return Evidence(leaf, trial.leaves.names, observations, exact)


def _moved(check: Check, trial: Trial) -> Observation | None:
    """Observe the rule at scaled arguments: a factor that changes with them is not a constant.

    All elements are scaled alike, so that equal elements stay equal and matrices symmetric.
    """
    moved = [(as_exact(a) * SCALE).astype(a.dtype) for a in trial.leaves.arrays]
    try:
        seen = Observation.elsewhere(trial, trial.leaves.mapped(moved), trial.dys[0])
    except Exception:  # outside of what the rule takes
        return None
    numbers = (*seen.y, *seen.got, *seen.want)
    return seen if all(np.isfinite(n).all() for n in numbers) else None


def _observed(check: Check, trial: Trial, args: Values) -> Observation | None:
    """Observe rule and truth at other arguments; None where they fail or their values differ."""
    try:
        leaves = Leaves.of(args, (), check.domains).settled()
        args = jax.tree.unflatten(leaves.tree, leaves.leaves)
        other = Trial(
            check.rule, trial.reference, args, trial.dtype, 1, check.seed + 7,
            None, check.precedents, domains=check.domains,
        )  # fmt: skip
        assert other.truth is not None
        dy = other.dys[0]
        seen = Observation.of(other, dy, other.pull(other.leaves.arrays, dy)[1])
        right = other.truth(other.leaves.arrays, dy)[0]
    except Exception:
        return None
    for y, r in zip(seen.y, map(as_exact, right), strict=True):
        if compare(y, r, other.allowed_value(r)) is not None or not y.size:
            return None
    return seen
