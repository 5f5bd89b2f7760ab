"""Networks of other libraries, as their authors' examples write them, and small.

None of them knows of this library. Every builder returns a `Network` and imports its library when
it is called. Parameters are random numbers in the shapes that the library asks for, because it
takes longer to compile their initialization than the network.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rules import normal

from jaxconv.check.leaves import is_float


@dataclasses.dataclass(frozen=True)
class Network:
    """A network as a pure function.

    Attributes:
        apply: computes any tree from params, x and what is in `more`.
        params: all that can be learned, and the state of batch norms.
        x: the input, or a tuple of inputs.
        more: keys and other arguments that have no gradient.
        left: how many convolutions and pools have no rule here, and stay.
    """

    apply: Callable[..., Any]
    params: Any
    x: Any
    more: tuple[Any, ...] = ()
    left: int = 0

    def loss(self, wrap=lambda apply: apply):
        """The sum of what is computed, bent and with random weights."""
        leaves = floats(jax.eval_shape(self.apply, self.params, self.x, *self.more))
        weights = [normal(500 + i, leaf.shape) for i, leaf in enumerate(leaves)]

        def loss(params, x):
            leaves = floats(wrap(self.apply)(params, x, *self.more))
            return sum(jnp.sum(c * jnp.sin(y)) for c, y in zip(weights, leaves, strict=True))

        return loss


def floats(tree):
    return [leaf for leaf in jax.tree.leaves(tree) if is_float(leaf)]


ZOO: dict[str, Callable[[], Network]] = {}


def in_zoo(builder):
    ZOO[builder.__name__.strip("_")] = builder
    return builder


@functools.cache
def network(name):
    return ZOO[name]()


def drawn(shapes, seed=0):
    """Random numbers in place of floats; variances are positive, and kernels keep the scale."""
    random = np.random.default_rng(seed)

    def draw(path, leaf):
        if not is_float(leaf):
            return jnp.zeros(leaf.shape, leaf.dtype)
        if "var" in jax.tree_util.keystr(path):
            return jnp.asarray(random.uniform(0.5, 2, leaf.shape))
        fan = leaf.size / max(leaf.shape) if leaf.ndim > 1 else 4
        return jnp.asarray(random.standard_normal(leaf.shape) / np.sqrt(fan))

    return jax.tree.map_with_path(draw, shapes)


def random_x(*shape, seed=100):
    return jnp.asarray(normal(seed, shape))


def value_and_gradients(loss):
    return jax.value_and_grad(loss, (0, 1))
