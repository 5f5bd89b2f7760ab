"""What a rule keeps for its backward pass."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array

from jaxconv._core.sharding import explicit_sharding

# In place of a factor that no gradient needs. It keeps its place in the tree of residuals,
# because that tree must not depend on which gradients are wanted: JAX traces a jitted
# function's rule once for every set of perturbed arguments, but remembers one tree for all.
_ABSENT = np.zeros(0, bool)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["x", "w"],
    meta_fields=["biased", "x_sharding", "w_sharding"],
)
@dataclass(frozen=True)
class Factors:
    """The residuals of a product of x and w plus a bias.

    Attributes:
        x: kept for the gradient of w, and only if that is wanted.
        w: kept for the gradient of x, and only if that is wanted.
        biased: whether there is a bias. Its gradient needs no residual.
        x_sharding: how x, and so its gradient, lies on a mesh with Explicit axes; None elsewhere.
        w_sharding: the same of w. JAX cannot tell: the gradient is a sum over what dy is split by.
    """

    x: Any
    w: Any
    biased: bool
    x_sharding: Any
    w_sharding: Any


def factors_for_each_other(x: Any, w: Any, b: Any) -> Factors:
    """The residuals, from the primals that `defvjp(symbolic_zeros=True)` hands to a rule."""
    return Factors(
        x=x.value if w.perturbed else _ABSENT,
        w=w.value if x.perturbed else _ABSENT,
        biased=b is not None,
        x_sharding=explicit_sharding(x.value),
        w_sharding=explicit_sharding(w.value),
    )


def is_kept(residual: Array) -> bool:
    """Whether this factor was kept."""
    return residual.dtype != bool
