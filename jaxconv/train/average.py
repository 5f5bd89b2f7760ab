"""The moving average of what a network has learnt."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv.models import Variables
from jaxconv.train.promotion import as_in_numpy


@as_in_numpy()
def moved_on(
    mean: Variables | None, variables: Variables, keep: float, taken: Array
) -> Variables | None:
    """Return the average after a step, share · mean + (1 − share) · variables; None stays None.

    The share is `keep`, but (1 + taken)/(10 + taken) where that is less: otherwise the average
    would remember the initial parameters for too long. Whole numbers are not averaged.
    """
    if mean is None:
        return None
    share = jnp.minimum(keep, (1 + taken) / (10 + taken)).astype(jnp.float32)

    def moved(old: Array, new: Array) -> Array:
        if jnp.issubdtype(old.dtype, jnp.integer):
            return new
        return (share * old + (1 - share) * new).astype(old.dtype)

    return jax.tree.map(moved, mean, variables)
