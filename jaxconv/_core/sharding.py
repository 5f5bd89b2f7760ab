"""Arrays on meshes with Explicit axes, where how an array lies is part of its type."""

from collections.abc import Sequence
from typing import Any

import jax
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec


def explicit_sharding(array: Array) -> Any:
    """How an array lies on such a mesh; None elsewhere."""
    sharding = jax.typeof(array).sharding
    return sharding if sharding.mesh.explicit_axes else None


def reshape(x: Array, shape: Sequence[int]) -> Array:
    """`x.reshape(shape)` that keeps axis 0, the batch, and the way that is cut.

    JAX asks to be told how the result lies if several axes change at once.
    """
    sharding = explicit_sharding(x)
    if sharding is None:
        return lax.reshape(x, shape)
    cut = NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[:1]))
    return lax.reshape(x, shape, out_sharding=cut)
