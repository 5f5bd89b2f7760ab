"""Arrays as the court compares them: in float64."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

Arrays = list[Any]


def widen(arrays: Sequence[Any]) -> Arrays:
    """In float64."""
    return [jnp.asarray(a).astype(jnp.float64) for a in arrays]


def as_float64(array: Any) -> np.ndarray:
    """A numpy array to compare with."""
    if isinstance(array, np.ndarray) and array.dtype == np.float64:
        return array
    return np.asarray(jnp.asarray(array).astype(jnp.float64))


def root_mean_square(array: np.ndarray) -> float:
    """Of the finite elements; 0 if there are none."""
    finite = array[np.isfinite(array)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
