"""Reference implementations of dropout, differentiated by JAX."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import IntOrInts, accumulator
from jaxconv._core.shapes import Shaped


def dropout(
    x: Shaped[Array, "*shape"],
    rate: float,
    key: Shaped[Array, ""] | Shaped[Array, "words"],
    *,
    broadcast_axes: IntOrInts = (),
) -> Shaped[Array, "*shape"]:
    """See `jaxconv.dropout`."""
    together = (broadcast_axes,) if isinstance(broadcast_axes, int) else broadcast_axes
    shape = list(x.shape)
    for axis in together:
        shape[axis] = 1
    if rate == 1:
        return jnp.zeros_like(x)
    mask = jax.random.bernoulli(key, 1.0 - rate, shape)
    scaled = x.astype(accumulator(x.dtype)) / (1 - rate)
    return jnp.where(mask, scaled, 0).astype(x.dtype)


def drop_path(
    x: Shaped[Array, "N *rest"], rate: float, key: Shaped[Array, ""] | Shaped[Array, "words"]
) -> Shaped[Array, "N *rest"]:
    """See `jaxconv.drop_path`."""
    return dropout(x, rate, key, broadcast_axes=range(1, x.ndim))
