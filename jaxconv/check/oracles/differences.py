"""The differences oracle: compare the gradient with differences of the rule's own value."""

import numpy as np

from jaxconv.check.arrays import Arrays, as_exact, root_mean_square, sizes
from jaxconv.check.compare import Mismatch, a_few, compare
from jaxconv.check.diagnosis import Evidence, Observation
from jaxconv.check.diagnosis.repair.program import without_rules
from jaxconv.check.differences import EXACT, Slope
from jaxconv.check.levels import UNTOLD
from jaxconv.check.oracles.autodiff import evidence_of
from jaxconv.check.report import Diagnosis
from jaxconv.check.state import Check

ELEMENTWISE = 512
"""Gradients with at most this many elements may be differenced one element at a time."""

DIRECTIONS = 2

TOGETHER = 4
"""With a reference, more arguments than that are moved together first, which takes less time."""


def differences(check: Check, gradients: list[Arrays]) -> bool:
    """Compare gradients with differences along random directions.

    If they differ and there is no reference that shows where, single elements are compared.

    Returns:
        False if a difference was taken across a kink, where it is the mean of two slopes and does
        not tell whether the gradient is right; otherwise True.
    """
    trial = check.exact
    arrays, dy, got = trial.leaves.arrays, trial.dys[0], gradients[0]
    told = True
    if len(arrays) > TOGETHER and trial.truth is not None and _agree_together(check, got):
        return told
    for leaf, name in enumerate(trial.leaves.names):
        x, g = as_exact(arrays[leaf]), as_exact(got[leaf])
        if not x.size:
            continue
        finite = np.isfinite(g)
        if not finite.all() and _not_finite(check, leaf, g):
            return told
        g = np.where(finite, g, 0)
        for _ in range(DIRECTIONS):
            v = np.where(finite, _direction(check, leaf, x), 0)
            if not v.any():
                check.note(f"differences cannot tell d({name}): it cannot be moved in its domain")
                break
            slope = trial.differences.slope(arrays, dy, {leaf: v})
            check.report.checks += 1
            along = float(np.sum(g * v).real)
            size, trusted = _trusted(check, [g * v], slope)
            if not np.isfinite(slope.error) or slope.error > 0.01 * size + 1e-9:
                is_rounded = trial.eps > EXACT
                why = "the value is rounded too much" if is_rounded else "a kink is near"
                check.note(f"differences cannot tell d({name}): {why}")
                if trial.truth is None:
                    check.report.levels["gradient"] = UNTOLD
                break
            if abs(along - slope.value) <= trusted:
                continue
            if trial.differences.bends(arrays, dy, {leaf: v}):
                check.note(f"differences cannot tell d({name}): it is at a kink or a tie")
                told = False
            else:
                _fail(check, leaf, gradients, v, slope.value)
                if check.every_oracle:
                    return told
            break
    return told


def _trusted(check: Check, products: list[np.ndarray], slope: Slope) -> tuple[float, float]:
    """Return the size of a directional derivative, and the error that it may have."""
    squares = sum(float(np.sum(np.abs(p) ** 2)) for p in products)
    size = float(np.sqrt(squares)) + abs(slope.value)
    relative = check.tolerance.widened(max(1e-7, 100 * check.exact.eps))
    count = sum(p.size for p in products)
    return size, 20 * slope.error + relative * size + check.tolerance.absolute * count**0.5


def _agree_together(check: Check, got: Arrays) -> bool:
    """Whether all gradients agree with differences in directions that move all arguments.

    A network has many arguments, and the reference has judged each of them already.
    """
    trial = check.exact
    gradients = [as_exact(g) for g in got]
    for _ in range(DIRECTIONS):
        move = {
            leaf: _direction(check, leaf, as_exact(x)) * root_mean_square(as_exact(x))
            for leaf, x in enumerate(trial.leaves.arrays)
            if x.size
        }
        slope = trial.differences.slope(trial.leaves.arrays, trial.dys[0], move)
        check.report.checks += 1
        products = [gradients[leaf] * v for leaf, v in move.items()]
        size, trusted = _trusted(check, products, slope)
        along = float(sum(np.sum(p).real for p in products))
        is_exact = np.isfinite(slope.error) and slope.error <= 0.01 * size + 1e-9
        if not is_exact or not abs(along - slope.value) <= trusted:
            return False
    return True


def _direction(check: Check, leaf: int, x: np.ndarray) -> np.ndarray:
    trial = check.exact
    v = trial.rng.standard_normal(x.shape)
    if np.iscomplexobj(x):
        v = v + 1j * trial.rng.standard_normal(x.shape)
    domain = trial.leaves.domains[trial.leaves.wanted[leaf]]
    return v if domain is None else domain.direction(x, v)


def _not_finite(check: Check, leaf: int, got: np.ndarray) -> bool:
    """Report elements of a gradient that are not finite where differences are; whether any is.

    Where neither is finite there is only a note. With a reference, its autodiff has judged.
    """
    trial = check.exact
    name, arrays = trial.leaves.names[leaf], trial.leaves.arrays
    off = np.zeros(got.shape, bool)
    slopes = np.where(np.isfinite(got), got, np.nan)
    indices = np.argwhere(~np.isfinite(got))
    for index in a_few(indices):
        check.report.checks += 1
        slopes[index] = trial.differences.element(arrays, trial.dys[0], leaf, index)
        off[index] = np.isfinite(slopes[index])
    if not off.any():
        first = tuple(int(i) for i in indices[0])
        check.note(f"d({name}){list(first)} is {got[first]}, and differences are not finite either")
        return False
    index = tuple(int(i) for i in np.argwhere(off)[0])
    mismatch = Mismatch(index, got[index].item(), slopes[index].item(), ~np.isfinite(got))
    what = "NaN" if np.isnan(got[~np.isfinite(got)]).all() else "not finite"
    sentence = f"d({name}) is {what} where differences of the value are finite"
    check.fail_where(
        mismatch, name, "differences", trial, f"d({name})",
        diagnosis=Diagnosis("not_finite", sentence, 0.0),
    )  # fmt: skip
    return True


def _fail(check: Check, leaf: int, gradients: list[Arrays], v: np.ndarray, slope: float) -> None:
    """Report a failure element by element if affordable, otherwise along the direction."""
    check.measure()
    trial = check.exact
    name, arrays = trial.leaves.names[leaf], trial.leaves.arrays
    got = as_exact(gradients[0][leaf])
    if got.size > ELEMENTWISE or trial.truth is not None:
        along = float(np.sum(np.where(v != 0, got * v, 0)).real)
        check.fail(
            name, "differences", trial,
            f"d({name}) along a random direction is {along:.8g}, differences say {slope:.8g}",
            error=abs(along - slope), got=along, expected=slope,
        )  # fmt: skip
        return
    observations = []
    random = zip(trial.dys[: check.cotangents], gradients[: check.cotangents], strict=True)
    for dy, all_got in random:
        want = [as_exact(g) for g in all_got]
        for other in range(len(want)):
            if want[other].size <= ELEMENTWISE:
                found = trial.differences.gradient(arrays, dy, other)
                want[other] = np.where(np.isnan(found), want[other], found)
        observations.append(Observation.with_want(trial, dy, all_got, want))
    slopes = observations[0].want[leaf]
    relative = max(1e-6, 100 * trial.eps)
    mismatch = compare(got, slopes, relative * sizes(slopes))
    if mismatch is not None:
        evidence = _exact_evidence(check, leaf, gradients, observations)
        evidence = evidence or Evidence(leaf, trial.leaves.names, observations, exact=1e-5)
        check.fail_where(mismatch, name, "differences", trial, f"d({name})", evidence=evidence)


def _exact_evidence(
    check: Check, leaf: int, gradients: list[Arrays], observations: list[Observation]
) -> Evidence | None:
    """Return evidence from JAX's own gradient of the value, without the rule.

    It is exact, and knows gradients for other arguments and shapes. None if JAX cannot
    differentiate the value, or finds another gradient than differences.
    """
    trial = check.trial_of(without_rules(check.rule))
    try:
        assert trial is not None
        evidence = evidence_of(check, trial, leaf, gradients)
    except Exception:  # for example a value from pure_callback
        return None
    for seen, exact in zip(observations, evidence.observations, strict=False):
        want, found = seen.want[leaf], exact.want[leaf]
        if compare(found, want, 1e-4 * sizes(want)) is not None:
            return None
    return evidence
