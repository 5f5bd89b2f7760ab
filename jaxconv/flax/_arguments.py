"""What the layers of `flax.linen` and of `flax.nnx` share: how to read their options."""

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp

from jaxconv.normalization._mixed import are_floating, takes_eps


def axes_of(axes: int | Iterable[int], ndim: int) -> tuple[int, ...]:
    """Return one axis or several as different axes, sorted and counted from 0."""
    given = axes if isinstance(axes, Iterable) else (axes,)
    return tuple(sorted({axis + ndim if axis < 0 else axis for axis in given}))


def takes_options(layer: Any, x: Any, mask: Any) -> bool:
    """Return whether the rules compute what this layer of Flax does, apart from its axes.

    They have no mask, no part of the devices of a mapped axis, and no complex numbers or integers.
    """
    groups = None if layer.axis_name is None else layer.axis_index_groups
    return (
        mask is None
        and groups is None
        and takes_eps(layer.epsilon)
        and are_floating(x.dtype, layer.dtype, layer.param_dtype)
    )


def dtype_of(layer: Any, *arrays: Any) -> Any:
    """Return the dtype that the layer is given, or that to which JAX promotes the arrays."""
    if layer.dtype is not None:
        return layer.dtype
    return jnp.result_type(*(array for array in arrays if array is not None))
