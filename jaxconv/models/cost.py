"""What a network costs: its parameters, multiply-adds, and the memory of a step."""

from functools import partial
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

import jaxconv
import jaxconv.reference
from jaxconv._core.work import array_bytes, contractions
from jaxconv.models.model import Model, Params, State

BATCH = 32
"""As many images are in the step whose memory is told."""

BESIDE = 3
"""As many numbers are kept beside each parameter: its gradient, and two averages of adamw."""


class Cost(NamedTuple):
    """What a network costs.

    Attributes:
        parameters: how many numbers are trained.
        multiply_adds: those of the convolutions and dense layers, forward, for one image.
        parameter_bytes: those of the parameters.
        kept_bytes: what the layers save for the backward pass of BATCH images, with the parameters.
    """

    parameters: int
    multiply_adds: int
    parameter_bytes: int
    kept_bytes: int

    @property
    def step_bytes(self) -> int:
        """What a step of BATCH images with adamw must keep at once.

        It is the gradient and the averages of the parameters, and what the layers save.
        """
        return BESIDE * self.parameter_bytes + self.kept_bytes


def cost_of(model: Model, image_shape: tuple[int, ...], classes: int) -> Cost:
    """Return the cost of a network on images of this shape; nothing is computed."""
    key = jax.random.key(0)
    init = partial(model.init, image_shape=image_shape, classes=classes)
    params, state = jax.eval_shape(init, key)

    def logits(ops: ModuleType, params: Params, state: State, x: Array) -> Array:
        return model.apply(params, state, x, train=True, key=key, ops=ops)[0]

    def saved(params: Params, state: State, x: Array) -> object:
        return jax.vjp(lambda params: logits(jaxconv, params, state, x), params)[1]

    def images(count: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((count, *image_shape), jnp.float32)

    works = contractions(partial(logits, jaxconv.reference), params, state, images(1))
    kept = array_bytes(jax.eval_shape(saved, params, state, images(BATCH)))
    return Cost(
        sum(leaf.size for leaf in jax.tree.leaves(params)),
        sum(work.multiply_adds for work in works),
        array_bytes(params),
        kept,
    )
