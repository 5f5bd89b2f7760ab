"""What all networks share: their types, and the initial parameters of a layer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

Params = dict[str, dict[str, Array]]
Observer = Callable[[str, Array], object]


class Model(NamedTuple):
    """A network as two pure functions."""

    init: Callable[..., Params]
    apply: Callable[..., Array]


def layer(key: Array, shape: tuple[int, ...]) -> dict[str, Array]:
    """Return normal weights with variance 2/fan_in (He et al., 2015) and a bias of zeros.

    The last axis counts the outputs; fan_in is the product of the other axes.
    """
    init: Any = jax.nn.initializers.he_normal(in_axis=tuple(range(len(shape) - 1)), out_axis=-1)
    return {"w": init(key, shape, jnp.float32), "b": jnp.zeros(shape[-1], jnp.float32)}


def ignore(name: str, value: Array) -> None:
    """Observe nothing; the default of `observe`."""
