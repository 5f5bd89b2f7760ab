"""Groups by themselves: each is a contraction of its own, without groups. Channels last.

A few of them lie side by side, which is faster; many are taken in a loop, of which only one is
compiled.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction import blocks, depth, matrix
from jaxconv.contraction.form import Form, Inner

# Multiply-adds below which the plain form of y is taken: 4 of 16, 3×3, 14×14, two images, take
# 0.23 ms side by side, compiled in 220 ms, and 0.24 ms in the plain form, compiled in 20 ms.
LEAST_WORK = 2**22
# The same of groups in turn: 40 of 16, 7×7, two images, take 0.65 ms and in the plain form 0.67 ms.
LEAST_WORK_IN_TURN = 2**23
# The plain form of dw multiplies every group with every other: 2 of 4, 3×3, 14×14, one image, take
# 0.08 ms side by side and 0.46 ms in the plain form.
LEAST_WORK_OF_KERNEL_GRADIENT = 2**15
# More groups than these are taken in turn: side by side each is to be compiled. 16 of 32, 3×3,
# 16×14×14, take 18 ms side by side, compiled in 570 ms, and 24 ms in turn, compiled in 390 ms.
MOST_SIDE_BY_SIDE = 32

One = Callable[[ConvSpec, Array, Array], Array]


def side_by_side(spec: ConvSpec, left: Array, right: Array, one: One) -> Array:
    """The contraction of every group, in order; `one` computes it for one group.

    All factors and results but those of an input gradient have their groups in the last axis.
    """
    alone = spec.one_group()
    pairs = zip(jnp.split(left, spec.groups, -1), jnp.split(right, spec.groups, -1), strict=True)
    return jnp.concatenate([one(alone, a, b) for a, b in pairs], axis=-1)


def in_turn(spec: ConvSpec, left: Array, right: Array, one: One) -> Array:
    """The contraction of one group after the other."""
    alone = spec.one_group()

    def groups_first(array: Array) -> Array:
        *others, channels = array.shape
        return jnp.moveaxis(array.reshape(*others, spec.groups, channels // spec.groups), -2, 0)

    pairs = groups_first(left), groups_first(right)
    each = jnp.moveaxis(lax.map(lambda pair: one(alone, *pair), pairs), 0, -2)
    return each.reshape(*each.shape[:-2], spec.groups * each.shape[-1])


def _correlate_side_by_side(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    return side_by_side(spec, x, w, inner.correlate)


def _correlate_in_turn(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    return in_turn(spec, x, w, inner.correlate)


def _kernel_gradient_side_by_side(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    return side_by_side(spec, x, dy, inner.kernel_gradient)


def _kernel_gradient_in_turn(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    def in_a_loop(spec: ConvSpec, x: Array, dy: Array) -> Array:
        """In blocks however few the terms are: in a loop the plain form takes its slow code."""
        if spec.taps == 1:
            return matrix.kernel_gradient(spec, x, dy, inner)
        in_blocks = partial(blocks.kernel_gradient, inner=inner)
        return (
            depth.kernel_gradient(spec, x, dy, in_blocks)
            if spec.dims == 3
            else in_blocks(spec, x, dy)
        )

    return in_turn(spec, x, dy, in_a_loop)


def _applies_side_by_side(spec: ConvSpec, batch: int, dtype: Any) -> bool:
    few = 1 < spec.groups <= MOST_SIDE_BY_SIDE
    return few and spec.multiply_adds(batch) >= LEAST_WORK


def _applies_in_turn(spec: ConvSpec, batch: int, dtype: Any) -> bool:
    # 1×1 of 32 groups of 32, 16×14×14, takes 18 ms in turn and 8.4 ms in the plain form.
    several = spec.groups > 1 and spec.taps > 1
    return several and spec.multiply_adds(batch) >= LEAST_WORK_IN_TURN


def _kernel_gradient_applies_side_by_side(spec: ConvSpec, batch: int, dtype: Any) -> bool:
    few = 1 < spec.groups <= MOST_SIDE_BY_SIDE
    return few and spec.multiply_adds(batch) >= LEAST_WORK_OF_KERNEL_GRADIENT


def _kernel_gradient_applies_in_turn(spec: ConvSpec, batch: int, dtype: Any) -> bool:
    much = spec.multiply_adds(batch) >= LEAST_WORK_OF_KERNEL_GRADIENT
    return spec.groups > 1 and much


FORMS = (
    Form(
        name="groups side by side",
        contraction="correlate",
        platforms=("cpu",),
        when=f"2 to {MOST_SIDE_BY_SIDE} groups",
        applies=_applies_side_by_side,
        run=_correlate_side_by_side,
    ),
    Form(
        name="groups in turn",
        contraction="correlate",
        platforms=("cpu",),
        when="more groups, of windows of more than one element",
        applies=_applies_in_turn,
        run=_correlate_in_turn,
    ),
    Form(
        name="groups side by side",
        contraction="kernel_gradient",
        platforms=("cpu",),
        when=f"2 to {MOST_SIDE_BY_SIDE} groups",
        applies=_kernel_gradient_applies_side_by_side,
        run=_kernel_gradient_side_by_side,
    ),
    Form(
        name="groups in turn",
        contraction="kernel_gradient",
        platforms=("cpu",),
        when="more groups",
        applies=_kernel_gradient_applies_in_turn,
        run=_kernel_gradient_in_turn,
        needs_batch=True,
    ),
)
