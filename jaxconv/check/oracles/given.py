"""The oracle for other dtypes: gradients may differ from the float64 truth by rounding only."""

import numpy as np

from jaxconv._core.arguments import DType
from jaxconv.check.arrays import as_exact, sizes, widen
from jaxconv.check.oracles.kinks import at_kinks
from jaxconv.check.oracles.structure import gradients_of
from jaxconv.check.state import Check
from jaxconv.check.trial import NARROW_ULPS

MOST = 8
"""The report keeps at most this many failures."""


def in_dtype(check: Check, dtype: DType) -> None:
    """Check the gradients in this dtype against the float64 truth.

    The error allowed is that of rounding and conditioning, plus four times the largest error of
    the reference's own autodiff in this dtype.
    """
    if dtype == check.exact.dtype or check.exact.truth is None:
        return
    trial = check.trial(dtype)
    if trial is None:
        check.note(f"the rule does not take {dtype}")
        return
    gradients = gradients_of(check, trial)
    if gradients is None:
        return
    assert trial.truth is not None
    arrays = trial.leaves.arrays
    for dy, got in zip(trial.dys, gradients, strict=True):
        right, rounded = trial.truth(arrays, dy)[1], trial.autodiff(arrays, dy)[1]
        for leaf, name in enumerate(trial.leaves.names):
            check.report.checks += 1
            g, w, theirs = (as_exact(a[leaf]) for a in (got, right, rounded))
            w = np.where(np.isnan(w), g, w)
            error = np.abs(theirs - w)
            rounding = check.tolerance.widened(NARROW_ULPS * trial.eps) * sizes(w)
            allowed = rounding + NARROW_ULPS * trial.noise[leaf] + check.tolerance.absolute
            allowed += 4 * np.max(error[np.isfinite(error)], initial=0.0)
            mismatch = trial.off(leaf, g, w, allowed, NARROW_ULPS / trial.ulps)
            # Rounding may make another element the maximum, and a narrow dtype makes ties.
            if mismatch is not None and not at_kinks(check, widen(arrays), dy, leaf, mismatch):
                check.fail_where(mismatch, name, "autodiff", trial, f"d({name})")
    del check.report.failures[MOST:]
