"""What a rule keeps for its backward pass."""

from typing import Any

import numpy as np
from jax import Array

# In place of a factor that no gradient needs. It keeps its place in the tree of residuals,
# because that tree must not depend on which gradients are wanted: JAX traces a jitted
# function's rule once for every set of perturbed arguments, but remembers one tree for all.
_ABSENT = np.zeros(0, bool)


def factors_for_each_other(x: Any, w: Any, b: Any) -> tuple[Any, Any, tuple[()] | None]:
    """The residuals of a product of x and w plus b, from `defvjp(symbolic_zeros=True)`'s primals.

    Each factor is kept for the other's gradient, and only if that gradient is wanted. The
    bias gradient needs no residual: an empty tuple says that there is a bias.
    """
    return (
        x.value if w.perturbed else _ABSENT,
        w.value if x.perturbed else _ABSENT,
        None if b is None else (),
    )


def is_kept(residual: Array) -> bool:
    """Whether this factor was kept."""
    return residual.dtype != bool
