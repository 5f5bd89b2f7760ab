"""The precision in which a function works: that of its arguments, or of a narrower dtype inside.

The traced function says which narrow dtypes it uses. Whether its results are rounded to one of
them, and not only some mask, is measured: moved by a fraction of a rounding error, a function that
rounds jumps by a whole one, where a smooth function moves in proportion.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv._core.jaxprs import equations
from jaxconv.check.arrays import Arrays, as_exact, placed, root_mean_square
from jaxconv.check.compiling import quick_jit

DRAWS = 6
"""How many moves are tried: a short array rounds alike for some of them."""

MOVE = 1.0
"""The largest move, in rounding errors: a number of the narrow dtype itself needs more than ½."""

JUMP = 1 / 16
"""A second difference above this many rounding errors is a jump; a smooth one is far smaller."""


def precision(function: Callable[[Arrays], Arrays], arrays: Arrays) -> float:
    """Return the unit of rounding of the narrowest dtype that shows in the results."""
    widest = max(float(jnp.finfo(a.dtype).eps) for a in arrays)
    for eps in sorted(_narrow(function, arrays), reverse=True):
        if eps > widest and _jumps(quick_jit(function, arrays), arrays, eps):
            return eps
    return widest


def _narrow(function: Callable[[Arrays], Arrays], arrays: Arrays) -> set[float]:
    """Return the units of rounding of all floating-point dtypes of the traced function."""
    traced = jax.make_jaxpr(function)(arrays)
    return {float(jnp.finfo(dtype).eps) for dtype in _dtypes(traced.jaxpr)}


def _dtypes(jaxpr: Any) -> Iterator[Any]:
    for equation in equations(jaxpr):
        for variable in (*equation.invars, *equation.outvars):
            dtype = getattr(variable.aval, "dtype", None)
            if dtype is not None and jnp.issubdtype(dtype, jnp.inexact):
                yield dtype


def _jumps(function: Callable[[Arrays], Arrays], arrays: Arrays, eps: float) -> bool:
    rng = np.random.default_rng(0)
    here = list(map(as_exact, function(arrays)))

    def moved(k: int, moves: Arrays) -> Arrays:
        pairs = zip(arrays, moves, strict=True)
        return function([placed(as_exact(a) * (1 + k * m), a.dtype) for a, m in pairs])

    for _ in range(DRAWS):
        moves = [MOVE / 2 * eps * rng.uniform(-1, 1, a.shape) for a in arrays]
        near, far = moved(1, moves), moved(2, moves)
        for f, g, h in zip(here, map(as_exact, near), map(as_exact, far), strict=True):
            bent = np.abs(h - 2 * g + f)
            if np.max(bent[np.isfinite(bent)], initial=0.0) > JUMP * eps * root_mean_square(f):
                return True
    return False
