"""One batch on several devices: each has all parameters and a share of the images.

A step is written for the whole batch. JAX's compiler splits it by where its arrays are, and adds up
what the devices must know of each other: the gradients, and the statistics of batch norm.
"""

import contextlib
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxconv.train.config import Config

T = TypeVar("T")

AXIS = "devices"
SHARED, EACH = PartitionSpec(), PartitionSpec(AXIS)
"""Every device has all of an array; every device has a share of its images."""


def make_cpus(count: int) -> None:
    """Make JAX create this many CPU devices; without effect once it has created its devices."""
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", count)


def check(config: Config) -> None:
    """Raise ValueError if there are fewer devices than the configuration asks for."""
    there = jax.devices()
    if len(there) < config.devices:
        raise ValueError(
            f"--devices {config.devices}: there are {len(there)} ({there[0].device_kind})"
        )


def on_all(config: Config, tree: T) -> T:
    """Return the tree with its arrays on every device."""
    if config.devices == 1:
        return tree
    sharding = NamedSharding(_mesh(config), SHARED)
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def placed(leaf: Array | np.ndarray) -> Array:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(placed(jax.random.key_data(leaf)))
        return jax.make_array_from_process_local_data(sharding, np.asarray(leaf))

    return jax.tree.map(placed, tree)


def shares(config: Config, tree: Any) -> Any:
    """Return the tree with the images of its arrays shared out over the devices.

    Of several processes, each has its own share in the arrays that it gives.
    """
    if config.devices == 1:
        return jax.tree.map(jnp.asarray, tree)
    sharding = NamedSharding(_mesh(config), EACH)
    return jax.tree.map(lambda own: jax.make_array_from_process_local_data(sharding, own), tree)


def shared_out(config: Config, tree: T) -> T:
    """Return the tree, inside a jitted function, with the images of its arrays shared out."""
    return _constrained(config, tree, EACH)


def the_same(config: Config, tree: T) -> T:
    """Return the tree, inside a jitted function, with its arrays on every device."""
    return _constrained(config, tree, SHARED)


def _constrained(config: Config, tree: T, spec: PartitionSpec) -> T:
    if config.devices == 1:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(_mesh(config), spec))


def _mesh(config: Config) -> Mesh:
    devices = jax.devices()[: config.devices]
    return jax.make_mesh((config.devices,), (AXIS,), (AxisType.Auto,), devices=devices)
