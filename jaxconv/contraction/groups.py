"""Groups one by one: each group is a contraction of its own, without groups. Channels last.

A few groups are computed side by side, which is faster. Many groups are computed in a loop, so that
only one of them is compiled.
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import DType
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction import blocks, depth, matrix
from jaxconv.contraction.form import Form, Inner

# Multiply-adds below which the plain form of y is taken: 4 groups of 16 channels, 3×3, 14×14, two
# images, take 0.23 ms side by side, compiled in 220 ms, and 0.24 ms in the plain form, compiled in
# 20 ms.
LEAST_WORK = 2**22
# The limit for groups in turn: 40 groups of 16 channels, 7×7, two images, take 0.65 ms in turn and
# 0.67 ms in the plain form.
LEAST_WORK_IN_TURN = 2**23
# The limit for dw is lower, because its plain form multiplies every group with every other: 2
# groups of 4 channels, 3×3, 14×14, one image, take 0.08 ms side by side and 0.46 ms in the plain
# form.
LEAST_WORK_OF_KERNEL_GRADIENT = 2**15
# More groups than these are taken in turn, because side by side every group has to be compiled: 16
# groups of 32 channels, 3×3, 16×14×14, take 18 ms side by side, compiled in 570 ms, and 24 ms in
# turn, compiled in 390 ms.
MOST_SIDE_BY_SIDE = 32

One = Callable[[ConvSpec, Array, Array], Array]


def side_by_side(spec: ConvSpec, left: Array, right: Array, one: One) -> Array:
    """Return the joined contractions of all groups; `one` computes that of one group.

    Factors and results have their groups in the last axis.
    """
    alone = spec.one_group()
    pairs = zip(jnp.split(left, spec.groups, -1), jnp.split(right, spec.groups, -1), strict=True)
    return jnp.concatenate([one(alone, a, b) for a, b in pairs], axis=-1)


def in_turn(spec: ConvSpec, left: Array, right: Array, one: One) -> Array:
    """Return the joined contractions of all groups, which `one` computes in a loop."""
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
        """Return dw of a group, in blocks even if small: in a loop the plain form is slow."""
        if spec.taps == 1:
            return matrix.kernel_gradient(spec, x, dy, inner)
        in_blocks = partial(blocks.kernel_gradient, inner=inner)
        return (
            depth.kernel_gradient(spec, x, dy, in_blocks)
            if spec.dims == 3
            else in_blocks(spec, x, dy)
        )

    return in_turn(spec, x, dy, in_a_loop)


def _applies_side_by_side(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    few = 1 < spec.groups <= MOST_SIDE_BY_SIDE
    return few and spec.multiply_adds(batch) >= LEAST_WORK


def _applies_in_turn(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    # 1×1, 32 groups of 32 channels, 16×14×14, takes 18 ms in turn and 8.4 ms in the plain form.
    several = spec.groups > 1 and spec.taps > 1
    return several and spec.multiply_adds(batch) >= LEAST_WORK_IN_TURN


def _kernel_gradient_applies_side_by_side(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    few = 1 < spec.groups <= MOST_SIDE_BY_SIDE
    return few and spec.multiply_adds(batch) >= LEAST_WORK_OF_KERNEL_GRADIENT


def _kernel_gradient_applies_in_turn(spec: ConvSpec, batch: int, dtype: DType) -> bool:
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
        when=f"more than {MOST_SIDE_BY_SIDE} groups, and windows of more than one element",
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
        when=f"more than {MOST_SIDE_BY_SIDE} groups",
        applies=_kernel_gradient_applies_in_turn,
        run=_kernel_gradient_in_turn,
        needs_batch=True,
    ),
)
