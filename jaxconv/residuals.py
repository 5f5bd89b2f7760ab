"""What a rule keeps for its backward pass."""

from typing import Any


def factors_for_each_other(x: Any, w: Any, b: Any) -> tuple[Any, Any, Any]:
    """The residuals of a product of x and w plus b, from `defvjp(symbolic_zeros=True)`'s primals.

    Each factor is kept for the other's gradient, and only if that gradient is wanted. The
    bias gradient needs no residual: an empty tuple says that it is wanted.
    """
    return (
        x.value if w.perturbed else None,
        w.value if x.perturbed else None,
        () if b is not None and b.perturbed else None,
    )
