"""The determinism oracle: a call's residuals belong to that call alone."""

from dataclasses import replace

import jax
import numpy as np

from jaxconv.check.arrays import Arrays, as_exact, placed, widen
from jaxconv.check.compare import compare
from jaxconv.check.diagnosis import Evidence, Observation
from jaxconv.check.oracles.structure import backward_fails
from jaxconv.check.state import Check


def again(check: Check) -> tuple[Arrays, Arrays] | None:
    """Repeat a call with another call between its forward and backward pass; compare bit by bit.

    This runs before anything is compiled: under jit, what a rule stores in a global variable would
    be a tracer.

    Returns:
        The other call's arguments and gradients, or None after a failure.
    """
    trial = check.exact
    arrays, dy = trial.leaves.arrays, trial.dys[0]
    # Each element has its own factor: one common factor would be diagnosed as a constant factor.
    rng = np.random.default_rng(check.seed + 3)
    moved = [placed(as_exact(a) * rng.uniform(1.005, 1.015, a.shape), a.dtype) for a in arrays]
    try:
        _, once = trial.eager(arrays, dy)
        _, pull = jax.vjp(trial.bound, *arrays)
        _, pull_moved = jax.vjp(trial.bound, *moved)
        second, beside = list(pull(dy)), list(pull_moved(dy))
    except Exception as error:
        backward_fails(check, trial, error)
        return None
    for leaf, name in enumerate(trial.leaves.names):
        check.report.checks += 1
        g, first = as_exact(second[leaf]), as_exact(once[leaf])
        if g.shape != first.shape:
            continue  # the structure oracle reports a wrong shape
        mismatch = compare(g, first, trial.allowed_again(first))
        if mismatch is None:
            continue
        evidence = None
        if trial.truth is not None:
            seen = replace(Observation.of(trial, dy, second), earlier=widen(moved))
            evidence = Evidence(leaf, trial.leaves.names, [seen])
        check.fail_where(
            mismatch, name, "determinism", trial, f"d({name}), asked again,", evidence=evidence
        )
    return None if check.report.failures else (moved, beside)


def beside(check: Check, moved: Arrays, got: Arrays) -> None:
    """Check the gradients of the call in between, which must not use the first call's residuals."""
    trial = check.exact
    if trial.truth is None:
        return
    dy, y = trial.dys[0], trial.bound(*moved)
    want = [as_exact(w) for w in trial.truth(moved, dy)[1]]
    arrays, dy, y, got = ([as_exact(a) for a in group] for group in (moved, dy, y, got))
    seen = Observation(arrays, dy, y, got, want, trial.truth, widen(trial.leaves.arrays))
    for leaf, name in enumerate(trial.leaves.names):
        check.report.checks += 1
        w = np.where(np.isnan(want[leaf]), seen.got[leaf], want[leaf])
        mismatch = trial.off(leaf, seen.got[leaf], w, 4 * trial.allowed(leaf, w))
        if mismatch is not None:
            evidence = Evidence(leaf, trial.leaves.names, [seen])
            check.fail_where(
                mismatch, name, "determinism", trial, f"d({name}) beside", evidence=evidence
            )
