"""Arrays on meshes with Explicit axes, where the sharding of an array is part of its type."""

from collections.abc import Sequence

import jax
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec


def explicit_sharding(array: Array) -> NamedSharding | None:
    """Return the sharding of an array on a mesh with Explicit axes; otherwise None."""
    sharding = jax.typeof(array).sharding
    return sharding if sharding.mesh.explicit_axes else None


def reshape(x: Array, shape: Sequence[int]) -> Array:
    """Return `x.reshape(shape)`, where axis 0, the batch, and its sharding must stay the same.

    If several axes change at once, JAX needs to be told the sharding of the result.
    """
    sharding = explicit_sharding(x)
    if sharding is None:
        return lax.reshape(x, shape)
    cut = NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[:1]))
    return lax.reshape(x, shape, out_sharding=cut)
