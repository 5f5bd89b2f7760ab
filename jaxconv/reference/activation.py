"""The twins of the activations: the same functions, differentiated by JAX."""

import jax
from jax import Array


def relu(x: Array) -> Array:
    """See `jaxconv.relu`."""
    return jax.nn.relu(x)
