"""Arrays in float64 or complex128, as the gradient checker compares them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jaxconv._core.arguments import DType
from jaxconv._core.types import Values

Arrays = list[Any]


def widen(arrays: Values) -> Arrays:
    """Return JAX arrays in float64; complex ones in complex128."""
    return [
        a.astype(_exact(a)) if isinstance(a, jax.core.Tracer) else placed(a, _exact(a))
        for a in arrays
    ]


def placed(array: ArrayLike, dtype: DType) -> jax.Array:
    """Return an array of JAX in this dtype; nothing is compiled for it.

    A check computes such arrays with NumPy: JAX compiles every operation for every shape, and that
    takes longer than the operation.
    """
    if isinstance(array, jax.Array) and array.dtype == dtype:
        return array
    return jax.device_put(np.asarray(array).astype(dtype))


def as_exact(array: ArrayLike) -> np.ndarray:
    """Return a NumPy array in float64; a complex one in complex128."""
    array = np.asarray(array)
    return array.astype(_exact(array), copy=False)


def root_mean_square(array: np.ndarray) -> float:
    """Return the root mean square of the finite elements; 0 if there are none."""
    finite = np.abs(array[np.isfinite(array)])
    return float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0


def sizes(want: np.ndarray) -> np.ndarray:
    """Return what the error of each element is relative to: itself and the whole array's size."""
    return np.abs(np.where(np.isfinite(want), want, 0)) + root_mean_square(want)


def largest_gap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference of two arrays of one shape; ∞ where only one of them is NaN."""
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    gap = np.where(same, 0.0, np.abs(one - other))
    return float(np.max(np.where(np.isnan(gap), np.inf, gap), initial=0.0))


def _exact(array: ArrayLike) -> DType:
    return np.dtype(np.complex128 if jnp.iscomplexobj(array) else np.float64)
