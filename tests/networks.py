"""Networks small enough to compile in a moment, and parameters without compiling anything."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv.models import Variables, plain

TINY = plain((((3, 4),),), (8,))  # one of each kind of layer


def parameters(model, dtype=np.float32, seed=0, **shapes):
    """Random parameters: those of `variables`."""
    return variables(model, dtype, seed, **shapes).params


def variables(model, dtype=np.float32, seed=0, **shapes):
    """Random numbers in the shapes that `init` gives: kernels of its variance, small biases.

    What is positive in the beginning, such as a variance, stays so.
    """
    random = np.random.default_rng(seed)

    def draw(leaf):
        scale = (2 / np.prod(leaf.shape[:-1])) ** 0.5 if leaf.ndim > 1 else 0.1
        return jnp.asarray(random.normal(scale=scale, size=leaf.shape), dtype)

    def init():
        return model.init(jax.random.key(0), **shapes)

    params, state = jax.eval_shape(init)

    def draw_state(path, leaf):
        if leaf.dtype == jnp.int32:
            return jnp.zeros(leaf.shape, leaf.dtype)
        values = random.normal(scale=0.1, size=leaf.shape)
        return jnp.asarray(np.exp(values) if "var" in str(path[-1]) else values, dtype)

    return Variables(
        jax.tree.map(draw, params), jax.tree_util.tree_map_with_path(draw_state, state)
    )
