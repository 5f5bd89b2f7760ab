"""One batch on several devices: each has all parameters and a share of the images."""

import contextlib
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxconv._core.types import Function
from jaxconv.train.config import Config

AXIS = "devices"
SHARED, EACH = PartitionSpec(), PartitionSpec(AXIS)  # each device has all; each has a share


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


def on_each(config: Config, function: Function, *specs: Any) -> Function:
    """Return the function as run on each device, with arguments that are SHARED or EACH by `specs`.

    Its result must be the same on all devices.
    """
    if config.devices == 1:
        return function
    return jax.shard_map(function, mesh=_mesh(config), in_specs=specs, out_specs=SHARED)


def on_all(config: Config, tree: object) -> Any:
    """Return the tree with its arrays on every device."""
    if config.devices == 1:
        return tree
    return jax.device_put(tree, NamedSharding(_mesh(config), SHARED))


def _mesh(config: Config) -> Mesh:
    devices = jax.devices()[: config.devices]
    return jax.make_mesh((config.devices,), (AXIS,), (AxisType.Auto,), devices=devices)
