"""Reference implementation of `jaxconv.dense`, differentiated by JAX."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import accumulator, of_rank
from jaxconv._core.shapes import Shaped


def dense(
    x: Shaped[Array, "*leading in"],
    w: Shaped[Array, "in out"],
    b: Shaped[Array, "out"] | None = None,
) -> Shaped[Array, "*leading out"]:
    """See `jaxconv.dense`."""
    y = jnp.dot(x, w, preferred_element_type=accumulator(x.dtype))
    if b is not None:
        y = y + of_rank(b.astype(y.dtype), y.ndim)
    return y.astype(x.dtype)
