"""The residuals of ops that multiply x and w."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import NamedSharding

from jaxconv._core.rule import Primal
from jaxconv._core.sharding import explicit_sharding

Gradients = tuple[Array | None, Array | None, Array | None]
"""Those for x, w and b; None for one that is not wanted."""

# Stands for a factor that no gradient needs. The tree of residuals must have the same
# structure whichever gradients are wanted: JAX traces the rule of a jitted function once for
# every set of perturbed arguments, but remembers a single tree structure for all of them.
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
        x: the array x, which is kept only if the gradient of w is wanted.
        w: the array w, which is kept only if the gradient of x is wanted.
        biased: whether there is a bias. Its gradient needs no residual.
        x_sharding: sharding of x and of its gradient on a mesh with Explicit axes; otherwise None.
        w_sharding: sharding of w and of its gradient, likewise. JAX cannot infer it, because dw is
            a sum over axes along which dy is sharded.
    """

    x: Any
    w: Any
    biased: bool
    x_sharding: NamedSharding | None
    w_sharding: NamedSharding | None


def factors_for_each_other(x: Primal, w: Primal, b: Primal | None) -> Factors:
    """Return the residuals from the primals that `defvjp(symbolic_zeros=True)` gives a rule."""
    return Factors(
        x=x.value if w.perturbed else _ABSENT,
        w=w.value if x.perturbed else _ABSENT,
        biased=b is not None,
        x_sharding=explicit_sharding(x.value),
        w_sharding=explicit_sharding(w.value),
    )


def is_kept(residual: Array) -> bool:
    """Return whether this factor was kept."""
    return residual.dtype != bool
