"""The structure oracle: gradients exist and have the shape and dtype of their arguments."""

import jax

from jaxconv.check.arrays import Arrays
from jaxconv.check.state import Check, first_line
from jaxconv.check.trial import Trial


def gradients_of(check: Check, trial: Trial) -> list[Arrays] | None:
    """Return the gradients of the rule for every cotangent, or None after a failure."""
    try:
        found = [trial.pull(trial.leaves.arrays, dy)[1] for dy in trial.dys]
    except Exception as error:
        backward_fails(check, trial, error)
        return None
    for name, leaf, got in zip(trial.leaves.names, trial.leaves.arrays, found[0], strict=True):
        check.report.checks += 1
        if got.shape != leaf.shape or got.dtype != leaf.dtype:
            check.fail(
                name, "structure", trial,
                f"the gradient is {got.dtype}{list(got.shape)},"
                f" the argument {leaf.dtype}{list(leaf.shape)}",
            )  # fmt: skip
            return None
    return found


def backward_fails(check: Check, trial: Trial, error: Exception) -> None:
    """Report that the forward or the backward pass of a differentiated call raises an error."""
    try:
        trial.as_called(lambda arrays: jax.vjp(trial.bound, *arrays))(trial.leaves.arrays)
        which = "the backward pass"
    except Exception:
        which = "the forward pass of a differentiated call"
    check.fail("", "structure", trial, f"{which} fails: {first_line(error)}")
