"""Groups by themselves: each is a contraction of its own, without groups. Channels last.

A few of them side by side, which is faster; many in a loop, of which only one is compiled.
"""

from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.geometry import ConvGeometry

Contraction = Callable[[ConvGeometry, Array, Array], Array]


def correlate(g: ConvGeometry, x: Array, w: Array, one: Contraction) -> Array:
    """y of every group, in order; `one` computes it for one group."""
    return _side_by_side(g, x, w, one)


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array, one: Contraction) -> Array:
    """dw of every group, in order: both factors have their groups in the last axis, as in y."""
    return _side_by_side(g, x, dy, one)


def correlate_in_turn(g: ConvGeometry, x: Array, w: Array, one: Contraction) -> Array:
    """y, one group after the other."""
    return _in_turn(g, x, w, one)


def kernel_gradient_in_turn(g: ConvGeometry, x: Array, dy: Array, one: Contraction) -> Array:
    """dw, one group after the other."""
    return _in_turn(g, x, dy, one)


def _side_by_side(g: ConvGeometry, left: Array, right: Array, one: Contraction) -> Array:
    alone = replace(g, groups=1)
    pairs = zip(jnp.split(left, g.groups, -1), jnp.split(right, g.groups, -1), strict=True)
    return jnp.concatenate([one(alone, a, b) for a, b in pairs], axis=-1)


def _in_turn(g: ConvGeometry, left: Array, right: Array, one: Contraction) -> Array:
    alone = replace(g, groups=1)

    def groups_first(array: Array) -> Array:
        *others, channels = array.shape
        return jnp.moveaxis(array.reshape(*others, g.groups, channels // g.groups), -2, 0)

    pairs = groups_first(left), groups_first(right)
    each = jnp.moveaxis(lax.map(lambda pair: one(alone, *pair), pairs), 0, -2)
    return each.reshape(*each.shape[:-2], g.groups * each.shape[-1])
