"""Networks small enough to compile in a moment, and parameters without compiling anything."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.models import plain

TINY = plain((((3, 4),),), (8,))  # one of each kind of layer


def parameters(model, dtype=np.float32, seed=0, **shapes):
    """Random numbers in the shapes that `init` gives: kernels of its variance, small biases."""
    random = np.random.default_rng(seed)

    def draw(leaf):
        scale = (2 / np.prod(leaf.shape[:-1])) ** 0.5 if leaf.ndim > 1 else 0.1
        return jnp.asarray(random.normal(scale=scale, size=leaf.shape), dtype)

    def init():
        return model.init(jax.random.key(0), **shapes)

    return jax.tree.map(draw, jax.eval_shape(init))
