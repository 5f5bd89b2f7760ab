"""The value oracle: compare structure, shapes, dtypes and numbers with the reference."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv._core.types import Function
from jaxconv.check.arrays import as_exact
from jaxconv.check.compare import compare
from jaxconv.check.compiling import quick_jit
from jaxconv.check.leaves import Leaves
from jaxconv.check.state import Check


def value(check: Check) -> None:
    """Compare the value of the rule with that of the reference."""
    if check.reference is None:
        return
    trial = check.exact
    args = trial.leaves.args(trial.leaves.arrays)
    got = check.rule(*args)
    try:
        want = _of_reference(check.reference, trial.leaves)
    except Exception as error:
        if check.tries_given(error):
            value(check)
            return
        raise ValueError(
            f"check_rule: the reference cannot be called with these arguments: {error}"
        ) from error
    check.report.checks += 1
    forms = [
        jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf).name), y)
        for y in (got, want)
    ]
    if forms[0] != forms[1]:
        check.fail("", "value", trial, f"the value has the form {forms[0]}, not {forms[1]}")
        return
    leaves = [list(map(_plain, jax.tree.leaves(y))) for y in (got, want)]
    for number, (g, w) in enumerate(zip(*leaves, strict=True)):
        mismatch = compare(g, w, trial.allowed_value(w))
        if mismatch is not None:
            which = "" if len(leaves[0]) == 1 else f" {number}"
            check.fail_where(mismatch, "", "value", trial, f"value{which}")


def _of_reference(reference: Function, leaves: Leaves) -> Any:
    """Return its value, compiled as one function if it can be."""
    call = quick_jit(lambda arrays: reference(*leaves.args(arrays)), leaves.arrays)
    try:
        return call(leaves.arrays)
    except Exception:  # a reference need not run under jit
        return reference(*leaves.args(leaves.arrays))


def _plain(leaf: object) -> np.ndarray:
    leaf = jnp.asarray(leaf)
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return as_exact(leaf)
