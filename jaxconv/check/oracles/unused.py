"""The oracle for symbolic zeros: each output used alone, each argument differentiated alone.

A rule that was defined with `symbolic_zeros=True` is told which cotangents are zero because nobody
uses the output, and which arguments nobody differentiates. It may have a mistake there only.
"""

from collections.abc import Iterator

import jax
import numpy as np

from jaxconv._core.jaxprs import equations
from jaxconv.check.arrays import Arrays, as_exact, placed
from jaxconv.check.report import Diagnosis
from jaxconv.check.state import Check, first_line
from jaxconv.check.trial import Trial

MOST = 8
"""At most this many outputs, and arguments, are tried alone."""


def unused(check: Check) -> None:
    """Compare the gradients with one output used alone, and with one argument varied alone."""
    trial = check.exact
    if not _has_symbolic_zeros(trial):
        return
    for what, leaves, outputs in _ways(trial):
        try:
            got = _alone(trial, leaves, outputs)
        except Exception as error:
            said = f"the rule fails with {what}: {first_line(error)}"
            check.fail("", "autodiff", trial, said, level="unused")
            return
        dy = [
            d if i in outputs else placed(np.zeros(d.shape), d.dtype)
            for i, d in enumerate(trial.dys[0])
        ]
        want = trial.best(trial.leaves.arrays, dy)[1]
        for leaf, found in zip(leaves, got, strict=True):
            check.report.checks += 1
            g, w = as_exact(found), as_exact(want[leaf])
            mismatch = trial.off(leaf, g, w, trial.allowed(leaf, w))
            if mismatch is not None:
                name = trial.leaves.names[leaf]
                sentence = f"d({name}) is right if everything is used, and wrong with {what}"
                check.fail_where(
                    mismatch, name, "autodiff", trial, f"with {what}: d({name})", level="unused",
                    diagnosis=Diagnosis("unused_wrong", sentence, 0.0),
                )  # fmt: skip
                return
    check.holds("unused")


def _has_symbolic_zeros(trial: Trial) -> bool:
    traced = trial.as_called(jax.make_jaxpr(lambda *a: trial.bound(*a)))(*trial.leaves.arrays)
    return any(bool(e.params.get("symbolic_zeros")) for e in equations(traced.jaxpr))


def _ways(trial: Trial) -> Iterator[tuple[str, list[int], list[int]]]:
    """Yield what is used in words, the differentiated leaves and the used outputs."""
    leaves, outputs = list(range(len(trial.leaves.names))), list(range(len(trial.shapes)))
    if len(outputs) > 1:
        for i in outputs[:MOST]:
            yield f"no output used but output {i}", leaves, [i]
    if len(leaves) > 1:
        for leaf in leaves[:MOST]:
            yield f"nothing differentiated but {trial.leaves.names[leaf]}", [leaf], outputs


def _alone(trial: Trial, leaves: list[int], outputs: list[int]) -> Arrays:
    arrays = list(trial.leaves.arrays)

    def some(*given: Arrays) -> Arrays:
        all_of_them = list(arrays)
        for leaf, array in zip(leaves, given, strict=True):
            all_of_them[leaf] = array
        y = trial.bound(*all_of_them)
        return [y[i] for i in outputs]

    def run() -> Arrays:
        _, pull = jax.vjp(some, *[arrays[leaf] for leaf in leaves])
        return list(pull([trial.dys[0][i] for i in outputs]))

    return trial.as_called(run)()
