"""Kinks and ties: where a slope is not unique, the check moves to a point nearby."""

import jax.numpy as jnp
import numpy as np

from jaxconv.check.arrays import Arrays, as_exact, placed, root_mean_square, widen
from jaxconv.check.compare import Mismatch, a_few
from jaxconv.check.leaves import Leaves
from jaxconv.check.state import Check

NUDGES = (0.02, 2e-5, 2e-8)
"""How far an array's elements are moved off a kink, at most, relative to its root mean square.

The first one that does not leave the domain of the function is taken.
"""


def on_kinks(check: Check, gradients: list[Arrays]) -> bool:
    """Whether gradients disagree with autodiff, and only at kinks, where the slope is not unique.

    A few of the elements that disagree are tested.
    """
    trial = check.exact
    if trial.truth is None or trial.dtype != jnp.float64:
        return False
    arrays, seen = widen(trial.leaves.arrays), False
    want = trial.truth(arrays, trial.dys[0])[1]
    pairs = zip(map(as_exact, gradients[0]), map(as_exact, want), strict=True)
    for leaf, (g, w) in enumerate(pairs):
        mismatch = trial.off(leaf, g, w, trial.allowed(leaf, w))
        if mismatch is None:
            continue
        if not at_kinks(check, arrays, trial.dys[0], leaf, mismatch):
            return False
        seen = True
        first = tuple(int(i) for i in np.argwhere(mismatch.off)[0])
        check.note(
            f"{trial.leaves.names[leaf]}{list(first)} is at a kink or a tie: the rule says"
            f" {g[first]:.6g}, autodiff {w[first]:.6g}; tried beside it instead"
        )
    return seen


def at_kinks(check: Check, arrays: Arrays, dy: Arrays, leaf: int, mismatch: Mismatch) -> bool:
    """Whether the elements that are off lie at kinks; a few of them are tested."""
    differences = check.exact.differences
    return all(
        differences.is_kink(arrays, widen(dy), leaf, index)
        for index in a_few(np.argwhere(mismatch.off))
    )


def step_aside(check: Check) -> list[Arrays]:
    """Move every array a little, off its kinks, and return the gradients there."""
    leaves = Leaves.of(check.args, (), check.domains)
    value = check.exact.as_called(check.exact.bound)
    here = list(map(as_exact, value(*check.exact.leaves.arrays)))
    for nudge in NUDGES:
        rng = np.random.default_rng(check.seed + 1)
        moved = []
        for array in leaves.arrays:
            x = as_exact(array)
            x = x + nudge * (root_mean_square(x) or 1.0) * rng.uniform(-1, 1, x.shape)
            moved.append(placed(x, array.dtype))
        moved = leaves.mapped(moved)
        there = map(as_exact, value(*moved))
        if all(np.isfinite(t[np.isfinite(h)]).all() for h, t in zip(here, there, strict=True)):
            break
    check.args = leaves.args(moved)
    beside = check.trial(check.exact.dtype)
    assert beside is not None  # it took these shapes before
    check.exact = beside
    return [beside.pull(beside.leaves.arrays, dy)[1] for dy in beside.dys]
