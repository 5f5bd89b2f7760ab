"""Few output channels: y as a sum of shifted inner products. Channels last, no groups.

    z[a, k, n, p] = Σ_c x[n, p, c] · w[a, c, k]        y[n, i, k] = Σ_a z[a, k, n, s·i + d·a − low]

A matrix product that sums over a and c would have few columns, and would copy each x for every a it
meets. The sum over c alone is a matrix product with a row for each a and k, for which nothing is
copied. The sum over a consists of additions, all in one loop over the output. Where a window sees
padding nothing is added, so w is never multiplied by the zeros of the padding.

The input gradient for few input channels, with any stride, is computed in the same way: first all
products of dy with the kernel, and then each phase of dx (`phases.py`) adds up those it meets.
"""

import math
from dataclasses import replace
from functools import reduce

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import DType, Precisions, accumulator
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.windows import offsets, view_of_x
from jaxconv.contraction import phases
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.kernels import transposed

# Multiply-adds below which the plain form is taken: 3×3 64→3, 14×14, one image, takes 0.020 ms in
# this form and 0.023 ms in the plain form.
LEAST_WORK = 2**17
# The result has at most this many channels: 3×3 64→9, 16×28×28, takes 0.94 ms in this form and
# 1.2 ms in the plain form.
MOST_CHANNELS = 9
# There are at most MOST_PRODUCTS for each position of the result, or MOST_PRODUCTS_OF_MANY if the
# sum is over at least MANY channels: 7×7 32→3, 16×28×28, takes 1.6 ms in this form and 1.1 ms in
# the plain form.
MOST_PRODUCTS, MOST_PRODUCTS_OF_MANY, MANY = 81, 150, 64
# Each phase of dx is a loop to compile: the 16 phases of 11×11 3→96 with stride 4 take 0.3 s
# together. A dx with more phases than this is left to other forms.
MOST_PHASES = 16


def correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """Return y: first all products, then their sums."""
    return _added(spec, _products(x, w, inner.precision))


def input_gradient(spec: ConvSpec, w: Array, dy: Array, inner: Inner) -> Array:
    """Return dx: first all products, then their sums, phase by phase."""
    products = _products(dy, transposed(w, 1), inner.precision)
    return phases.correlate(
        spec.transposed, dy, products, lambda phase, _, some: _added(phase, some)
    )


def _products(x: Array, w: Array, precision: Precisions) -> Array:
    """Return z[a, k, n, p], with an axis for each dimension of the window and of x."""
    c_in, c_out = w.shape[-2:]
    rows = jnp.swapaxes(w, -2, -1).reshape(-1, c_in)
    # `dot_general` gets w first here and x second, so a pair of precisions is reversed.
    precision = precision[::-1] if isinstance(precision, tuple) else precision
    products = lax.dot_general(
        rows, x.reshape(-1, c_in), (((1,), (1,)), ((), ())), precision=precision,
        preferred_element_type=accumulator(x.dtype),
    )  # fmt: skip
    return products.reshape(*w.shape[:-2], c_out, *x.shape[:-1])


def _added(spec: ConvSpec, z: Array) -> Array:
    """Return Σ_a z[a, k, n, s·i + d·a − low], with the channels k last."""
    # z is read as images with channels first, where k is the batch axis and n the channel axis.
    first = replace(spec.windows(), layout="channels_first")
    nothing = jnp.zeros((), z.dtype)
    each = z.reshape(spec.taps, *z.shape[spec.dims :])
    seen = (
        view_of_x(first, a, part, nothing) for a, part in zip(offsets(first), each, strict=True)
    )
    return jnp.moveaxis(reduce(lax.add, seen), 0, -1)


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    # With a stride most of the products would not be used.
    dense = math.prod(spec.stride) == 1
    positions = math.prod(spec.size), math.prod(spec.output)
    return dense and _are_few(spec, batch, (spec.channels_in, spec.channels_out), positions)


def _applies_to_input_gradient(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    positions = math.prod(spec.output), math.prod(spec.size)
    few = _are_few(spec, batch, (spec.channels_out, spec.channels_in), positions)
    return few and math.prod(spec.stride) <= MOST_PHASES


def _are_few(
    spec: ConvSpec, batch: int, channels: tuple[int, int], positions: tuple[int, int]
) -> bool:
    """Return whether there are few products for each position of the result, and enough work.

    `channels` says how many channels are summed, and how many the result has. `positions` says how
    many positions the factor has, and how many the result has.
    """
    (summed, left), (seen, asked) = channels, positions
    most = MOST_PRODUCTS if summed < MANY else MOST_PRODUCTS_OF_MANY
    few = left <= MOST_CHANNELS and spec.taps * left * seen <= most * asked
    return few and spec.groups == 1 and spec.multiply_adds(batch) >= LEAST_WORK


FORMS = (
    Form(
        name="inner products",
        contraction="correlate",
        platforms=("cpu",),
        when=f"at most {MOST_CHANNELS} output channels and {MOST_PRODUCTS} products for a position,"
        f" or {MOST_PRODUCTS_OF_MANY} of {MANY} input channels, without a stride",
        applies=_applies,
        run=correlate,
    ),
    Form(
        name="inner products",
        contraction="input_gradient",
        platforms=("cpu",),
        when=f"at most {MOST_CHANNELS} input channels, {MOST_PHASES} phases and {MOST_PRODUCTS}"
        f" products for a position, or {MOST_PRODUCTS_OF_MANY} of {MANY} output channels",
        applies=_applies_to_input_gradient,
        run=input_gradient,
    ),
)
