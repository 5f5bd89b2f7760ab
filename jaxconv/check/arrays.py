"""Arrays in float64, as the gradient checker compares them."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxconv._core.types import Values

Arrays = list[Any]


def widen(arrays: Values) -> Arrays:
    """Return JAX arrays in float64."""
    return [jnp.asarray(a).astype(jnp.float64) for a in arrays]


def as_float64(array: Any) -> np.ndarray:
    """Return a NumPy array in float64."""
    if isinstance(array, np.ndarray) and array.dtype == np.float64:
        return array
    return np.asarray(jnp.asarray(array).astype(jnp.float64))


def root_mean_square(array: np.ndarray) -> float:
    """Return the root mean square of the finite elements; 0 if there are none."""
    finite = array[np.isfinite(array)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
