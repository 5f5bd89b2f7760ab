"""The dtype of the arguments: no further from the float64 truth than a few roundings."""

from typing import Any

import numpy as np

from jaxconv.check.arrays import as_float64, widen
from jaxconv.check.bench import Bench
from jaxconv.check.compare import compare
from jaxconv.check.oracles.kinks import at_kinks
from jaxconv.check.oracles.structure import gradients_of

MOST = 8
"""So many failures are enough."""


def in_dtype(bench: Bench, dtype: Any) -> None:
    """Each gradient within what rounding and conditioning do, or what autodiff does there."""
    if dtype == bench.exact.dtype or bench.exact.truth is None:
        return
    trial = bench.trial(dtype)
    if trial is None:
        bench.note(f"the rule does not take {dtype}")
        return
    gradients = gradients_of(bench, trial)
    if gradients is None:
        return
    assert trial.truth is not None
    arrays = trial.leaves.arrays
    for dy, got_all in zip(trial.dys, gradients, strict=True):
        want_all = trial.truth(arrays, dy)[1]
        autodiff = trial.autodiff(arrays, dy)[1]
        for leaf, name in enumerate(trial.leaves.names):
            bench.report.checks += 1
            g, w = as_float64(got_all[leaf]), as_float64(want_all[leaf])
            w = np.where(np.isnan(w), g, w)
            theirs = np.abs(as_float64(autodiff[leaf]) - w)
            theirs = np.max(theirs[np.isfinite(theirs)], initial=0.0)
            mismatch = compare(g, w, trial.allowed(leaf, w, None) / 4 + 4 * theirs)
            # Rounding may send a maximum the other way; a narrow dtype makes ties.
            if mismatch is not None and not at_kinks(bench, widen(arrays), dy, leaf, mismatch):
                bench.fail_where(mismatch, name, "autodiff", trial, f"d({name})")
    del bench.report.failures[MOST:]
