"""Groups side by side: each is a contraction of its own, without groups. Channels last."""

from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp
from jax import Array

from jaxconv.geometry import ConvGeometry

Contraction = Callable[[ConvGeometry, Array, Array], Array]


def correlate(g: ConvGeometry, x: Array, w: Array, one: Contraction) -> Array:
    """y of every group, in order; `one` computes it for one group."""
    return _apart(g, x, w, one)


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array, one: Contraction) -> Array:
    """dw of every group, in order: both factors have their groups in the last axis, as in y."""
    return _apart(g, x, dy, one)


def _apart(g: ConvGeometry, left: Array, right: Array, one: Contraction) -> Array:
    alone = replace(g, groups=1)
    pairs = zip(jnp.split(left, g.groups, -1), jnp.split(right, g.groups, -1), strict=True)
    return jnp.concatenate([one(alone, a, b) for a, b in pairs], axis=-1)
