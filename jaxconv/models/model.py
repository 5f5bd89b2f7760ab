"""What all networks share: their types, and the initial parameters of a layer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

Params = dict[str, dict[str, Array]]
State = dict[str, dict[str, Array]]
Observer = Callable[[str, Array], object]


class Variables(NamedTuple):
    """The arrays of a network.

    Attributes:
        params: what is trained.
        state: what a forward pass in training changes, such as the running averages of batch norm.
    """

    params: Params
    state: State


class Model(NamedTuple):
    """A network as two pure functions.

    Attributes:
        init: (key, image_shape, classes) -> (params, state).
        apply: (params, state, x, *, train, key=None, ops=jaxconv) -> (logits, state).
    """

    init: Callable[..., tuple[Params, State]]
    apply: Callable[..., tuple[Array, State]]


def layer(key: Array, shape: tuple[int, ...]) -> dict[str, Array]:
    """Return normal weights with variance 2/fan_in (He et al., 2015) and a bias of zeros.

    The last axis counts the outputs; fan_in is the product of the other axes.
    """
    return {"w": he_normal(key, shape), "b": jnp.zeros(shape[-1], jnp.float32)}


def he_normal(key: Array, shape: tuple[int, ...]) -> Array:
    """Return normal weights with variance 2/fan_in, for a kernel whose last axis is the outputs."""
    init: Any = jax.nn.initializers.he_normal(in_axis=tuple(range(len(shape) - 1)), out_axis=-1)
    return init(key, shape, jnp.float32)


def ignore(name: str, value: Array) -> None:
    """Observe nothing; the default of `observe`."""
