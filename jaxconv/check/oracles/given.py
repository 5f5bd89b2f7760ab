"""Narrower dtypes: no further from the float64 truth than a few roundings."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxconv.check.arrays import Arrays, as_float64, root_mean_square, widen
from jaxconv.check.bench import Bench
from jaxconv.check.compare import compare
from jaxconv.check.oracles.kinks import at_kinks
from jaxconv.check.oracles.structure import gradients_of
from jaxconv.check.trial import Trial

MOST = 8
"""So many failures are enough."""

ULPS = 16
"""Units in the last place that two right answers may be apart, before conditioning is counted."""

Compared = tuple[np.ndarray, np.ndarray, np.ndarray]


def in_dtype(bench: Bench, dtype: Any) -> None:
    """Value and gradients within what rounding and conditioning do, or what autodiff does there."""
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
    value = trial.pull(arrays, trial.dys[0])[0]
    for number, dy in enumerate(trial.dys):
        right, rounded = trial.truth(arrays, dy), trial.autodiff(arrays, dy)
        if not number:
            compared = _compared(trial, value, right[0], rounded[0], trial.noise_of_value)
            for leaf, (g, w, allowed) in enumerate(compared):
                bench.report.checks += 1
                mismatch = compare(g, w, allowed)
                if mismatch is not None:
                    which = "" if len(value) == 1 else f" {leaf}"
                    bench.fail_where(mismatch, "", "value", trial, f"value{which}")
        compared = _compared(trial, gradients[number], right[1], rounded[1], trial.noise)
        for leaf, (g, w, allowed) in enumerate(compared):
            bench.report.checks += 1
            mismatch = compare(g, w, allowed)
            # Rounding may send a maximum the other way; a narrow dtype makes ties.
            if mismatch is not None and not at_kinks(bench, widen(arrays), dy, leaf, mismatch):
                name = trial.leaves.names[leaf]
                bench.fail_where(mismatch, name, "autodiff", trial, f"d({name})")
    del bench.report.failures[MOST:]


def _compared(
    trial: Trial, got: Arrays, right: Arrays, rounded: Arrays, noise: list[float]
) -> Iterator[Compared]:
    """What came, what is right, and how far apart they may be; `rounded` is autodiff's answer."""
    eps = float(jnp.finfo(trial.dtype).eps)
    for g, w, theirs, moved in zip(
        *(map(as_float64, group) for group in (got, right, rounded)), noise, strict=True
    ):
        want = np.where(np.isnan(w), g, w)
        error = np.abs(theirs - want)
        error = np.max(error[np.isfinite(error)], initial=0.0)
        size = np.abs(np.where(np.isfinite(want), want, 0)) + root_mean_square(want)
        yield g, want, ULPS * (eps * size + moved) + 4 * error
