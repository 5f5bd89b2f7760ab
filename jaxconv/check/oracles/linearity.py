"""The linearity oracle: a pullback must be linear in the cotangent."""

import numpy as np

from jaxconv.check.arrays import Arrays, as_exact, placed
from jaxconv.check.state import Check


def linearity(check: Check, gradients: list[Arrays]) -> None:
    """Check that pull(2·dy₁ − 3·dy₂) = 2·pull(dy₁) − 3·pull(dy₂)."""
    trial = check.exact
    if len(trial.dys) < 2:
        return
    mixed = [
        placed(2 * as_exact(a) - 3 * as_exact(b), a.dtype)
        for a, b in zip(*trial.dys[:2], strict=True)
    ]
    got = trial.pull(trial.leaves.arrays, mixed)[1]
    for leaf, name in enumerate(trial.leaves.names):
        check.report.checks += 1
        g, first, second = (as_exact(a[leaf]) for a in (got, *gradients[:2]))
        with np.errstate(invalid="ignore"):  # ∞ − ∞
            want = 2 * first - 3 * second
        size = np.abs(2 * first) + np.abs(3 * second)
        # The noise is that of one cotangent; here 2 of one and 3 of another are mixed.
        mismatch = trial.off(leaf, g, want, trial.allowed_mixture(leaf, size, 5), 5)
        if mismatch is not None:
            what = f"d({name}) of a sum of cotangents"
            check.fail_where(mismatch, name, "linearity", trial, what)
            if check.every_oracle:
                return
