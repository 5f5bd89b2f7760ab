"""The moving average of the parameters."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv.models import Params
from jaxconv.train.promotion import as_in_numpy


@as_in_numpy()
def moved_on(mean: Params | None, params: Params, keep: float, taken: Array) -> Params | None:
    """Return the average after a step, share · mean + (1 − share) · params; None stays None.

    The share is `keep`, but (1 + taken)/(10 + taken) where that is less: otherwise the average
    would remember the initial parameters for too long.
    """
    if mean is None:
        return None
    share = jnp.minimum(keep, (1 + taken) / (10 + taken)).astype(jnp.float32)
    return jax.tree.map(
        lambda old, new: (share * old + (1 - share) * new).astype(old.dtype), mean, params
    )
