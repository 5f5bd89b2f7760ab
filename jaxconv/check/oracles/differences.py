"""The differences oracle: compare the gradient with differences of the rule's own value."""

import jax.numpy as jnp
import numpy as np

from jaxconv.check.arrays import Arrays, as_float64, root_mean_square
from jaxconv.check.compare import compare
from jaxconv.check.diagnosis import Evidence, Observation
from jaxconv.check.state import Check

ELEMENTWISE = 512
"""Gradients with at most this many elements may be differenced one element at a time."""

DIRECTIONS = 2


def differences(check: Check, gradients: list[Arrays]) -> bool:
    """Compare gradients with differences along random directions.

    If they differ and there is no reference that shows where, single elements are compared.

    Returns:
        False if a difference was taken across a kink, where it is the mean of two slopes and does
        not tell whether the gradient is right; otherwise True.
    """
    trial = check.exact
    if trial.dtype != jnp.float64:
        check.note("differences need float64, which the rule does not take")
        return True
    arrays, dy, got = trial.leaves.arrays, trial.dys[0], gradients[0]
    told = True
    for leaf, name in enumerate(trial.leaves.names):
        x, g = as_float64(arrays[leaf]), as_float64(got[leaf])
        if not x.size or not np.isfinite(g).all():
            continue
        for _ in range(DIRECTIONS):
            v = trial.rng.standard_normal(x.shape)
            slope = trial.differences.slope(arrays, dy, leaf, v)
            check.report.checks += 1
            size = float(np.sqrt(np.sum((g * v) ** 2))) + abs(slope.value)
            trusted = 20 * slope.error + 1e-7 * size
            if not np.isfinite(slope.error) or slope.error > 0.01 * size + 1e-9:
                check.note(f"differences cannot tell d({name}): a kink is near")
                break
            if abs(float(np.sum(g * v)) - slope.value) <= trusted:
                continue
            if trial.differences.bends(arrays, dy, leaf, v):
                check.note(f"differences cannot tell d({name}): it is at a kink or a tie")
                told = False
            else:
                _fail(check, leaf, gradients, v, slope.value)
                if check.every_oracle:
                    return told
            break
    return told


def _fail(check: Check, leaf: int, gradients: list[Arrays], v: np.ndarray, slope: float) -> None:
    """Report a failure element by element if affordable, otherwise along the direction."""
    trial = check.exact
    name, arrays = trial.leaves.names[leaf], trial.leaves.arrays
    got = as_float64(gradients[0][leaf])
    if got.size > ELEMENTWISE or trial.truth is not None:
        along = float(np.sum(got * v))
        check.fail(
            name, "differences", trial,
            f"d({name}) along a random direction is {along:.8g}, differences say {slope:.8g}",
            error=abs(along - slope), got=along, expected=slope,
        )  # fmt: skip
        return
    observations = []
    for dy, all_got in zip(trial.dys, gradients, strict=True):
        want = [as_float64(g) for g in all_got]
        for other in range(len(want)):
            if want[other].size <= ELEMENTWISE:
                want[other] = trial.differences.gradient(arrays, dy, other)
        observations.append(Observation.with_want(trial, dy, all_got, want))
    slopes = observations[0].want[leaf]
    mismatch = compare(got, slopes, 1e-6 * (np.abs(slopes) + root_mean_square(slopes)))
    if mismatch is not None:
        evidence = Evidence(leaf, trial.leaves.names, observations, exact=1e-5)
        check.fail_where(mismatch, name, "differences", trial, f"d({name})", evidence=evidence)
