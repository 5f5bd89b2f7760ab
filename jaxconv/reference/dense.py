"""The twin of `jaxconv.dense`: the same function, differentiated by JAX."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import accumulator


def dense(x: Array, w: Array, b: Array | None = None) -> Array:
    """See `jaxconv.dense`."""
    y = jnp.dot(x, w, preferred_element_type=accumulator(x.dtype))
    return (y if b is None else y + b.astype(y.dtype)).astype(x.dtype)
