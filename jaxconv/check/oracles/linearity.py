"""Linearity: a pullback is a matrix times the cotangent."""

import jax.numpy as jnp
import numpy as np

from jaxconv.check.arrays import Arrays, as_float64, root_mean_square
from jaxconv.check.bench import Bench
from jaxconv.check.compare import compare


def linearity(bench: Bench, gradients: list[Arrays]) -> None:
    """pull(2·dy₁ − 3·dy₂) = 2·pull(dy₁) − 3·pull(dy₂)."""
    trial = bench.exact
    if len(trial.dys) < 2:
        return
    mixed = [2 * a - 3 * b for a, b in zip(*trial.dys[:2], strict=True)]
    got = trial.pull(trial.leaves.arrays, mixed)[1]
    eps = float(jnp.finfo(trial.dtype).eps)
    for name, g, first, second in zip(trial.leaves.names, got, *gradients[:2], strict=True):
        bench.report.checks += 1
        first, second = as_float64(first), as_float64(second)
        size = np.abs(2 * first) + np.abs(3 * second)
        allowed = 1e3 * eps * (size + root_mean_square(size))
        mismatch = compare(as_float64(g), 2 * first - 3 * second, allowed)
        if mismatch is not None:
            what = f"d({name}) of a sum of cotangents"
            bench.fail_where(mismatch, name, "linearity", trial, what)
            if bench.brief:
                return
