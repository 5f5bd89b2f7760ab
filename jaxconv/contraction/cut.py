"""Kernel gradients in a program that XLA cuts over several devices.

A kernel gradient sums over the examples. If they are split over devices, each device has a part of
the sum, and the devices add up their parts. The forms for a CPU sum in loops over images or rows.
There XLA would gather the examples, or add up in every turn. It may also run such a loop beside
other sums, in an order that differs between the devices, which then wait for each other for ever or
mix up their numbers. So nothing here is a loop, and the devices meet once:

    one group      the plain form
    many groups    dw[a] = Σ_{n,i} x̂[n, s·i + d·a − low] · dy[n, i] for each element a of the window

XLA's own kernel gradient of many groups is slow on a CPU. Where the examples are split over one of
two axes of a mesh it is also wrong: each number is as many times too large as the other axis has
devices.
"""

import jax.numpy as jnp
from jax import Array, lax
from jax.interpreters import mlir

from jaxconv._core.arguments import Layout, Precisions, accumulator
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints
from jaxconv.contraction.layouts import as_channels_last, from_channels_last
from jaxconv.contraction.planning import Call
from jaxconv.contraction.shifts import covered, shifts


def is_cut(context: mlir.LoweringRuleContext) -> bool:
    """Return whether XLA cuts the program over devices, given the context of its lowering."""
    axes = context.module_context.axis_context
    return getattr(axes, "num_devices", None) not in (None, 1)


def kernel_gradient(
    spec: ConvSpec, x: Array, dy: Array, layout: Layout, precision: Precisions
) -> Array:
    """Return dw without a loop; x and dy have this layout, and so has dw."""
    dilated = max(spec.input_dilation, default=1) > 1
    if spec.groups == 1 or dilated or 0 in (*x.shape, *dy.shape):
        return Call(None, precision, layout).run("kernel_gradient", spec, x, dy)
    x, dy = (as_channels_last(image, "image", layout) for image in (x, dy))
    return from_channels_last(_by_elements(spec, x, dy, precision), "kernel", layout)


def _by_elements(spec: ConvSpec, x: Array, dy: Array, precision: Precisions) -> Array:
    total = accumulator(x.dtype)
    examples = x.shape[0]
    image = covered(spec, x.astype(total))
    of_dy = dy.astype(total).reshape(*dy.shape[:-1], spec.groups, -1)

    def element(start: Ints, stop: Ints) -> Array:
        seen = lax.slice(
            image, (0, *start, 0), (examples, *stop, image.shape[-1]), (1, *spec.stride, 1)
        )
        seen = seen.reshape(*seen.shape[:-1], spec.groups, -1)
        if seen.shape[-1] == of_dy.shape[-1] == 1:
            return jnp.sum(seen * of_dy, axis=tuple(range(x.ndim - 1))).T
        sums = jnp.einsum("...gc,...gk->cgk", seen, of_dy, precision=precision)
        return sums.reshape(seen.shape[-1], -1)

    elements = [element(start, stop) for _, start, stop in shifts(spec)]
    return jnp.stack(elements).reshape(*spec.window, *elements[0].shape)
