"""Convolutions whose stride equals the window: each window is a row of a matrix.

Such windows lie side by side without overlap, so they divide x into tiles. With all elements of
tile i on one axis, x'[n, i, (a, c)] = x[n, s·i + a − low, c],

    y[n, i, k]        = Σ_{a,c} x'[n, i, (a, c)] · w[(a, c), k]
    dx'[n, i, (a, c)] = Σ_k dy[n, i, k] · w[(a, c), k]
    dw[(a, c), k]     = Σ_{n,i} x'[n, i, (a, c)] · dy[n, i, k]

are the contractions of a convolution whose window is one element (`matrix.py`). Channels last, no
groups. A vision transformer cuts images into patches with such a convolution: Dosovitskiy et al.,
"An image is worth 16×16 words" (2021).
"""

import math
from dataclasses import replace

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import DType
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction import matrix
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.library import SLOW_LIBRARY
from jaxconv.contraction.shifts import covered

# Multiply-adds below which the plain form is taken: dx of 2×2 8→16, 16×16, two images, takes
# 0.014 ms in this form and 0.016 ms in the plain form.
LEAST_WORK = 2**16
# To lay x out in tiles is to copy it. For y that pays where the library is slow, with at most this
# many input channels and terms: 4×4 3→96, stride 4, 8×224×224, takes 1.1 ms in this form and 2.1 ms
# in the plain form.
MOST_CHANNELS, MOST_TERMS = 4, 49


def correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """Return y, computed from all tiles."""
    return matrix.correlate(_of_tiles(spec), _tiles(spec, x), _rows(spec, w), inner)


def input_gradient(spec: ConvSpec, w: Array, dy: Array, inner: Inner) -> Array:
    """Return dx, put together from its tiles; it is 0 where no window sees x."""
    rows = matrix.input_gradient(_of_tiles(spec), _rows(spec, w), dy, inner)
    dims, n = spec.dims, dy.shape[0]
    order = [0]
    for axis in range(1, dims + 1):
        order += [axis, dims + axis]
    laid = rows.reshape(n, *spec.output, *spec.window, w.shape[-2]).transpose(*order, 2 * dims + 1)
    full = (o * s for o, s in zip(spec.output, spec.stride, strict=True))
    laid = laid.reshape(n, *full, w.shape[-2])
    edges = ((-low, -high, 0) for low, high in spec.covering)
    return lax.pad(laid, jnp.zeros((), laid.dtype), ((0, 0, 0), *edges, (0, 0, 0)))


def kernel_gradient(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    """Return dw, summed over all tiles."""
    rows = matrix.kernel_gradient(_of_tiles(spec), _tiles(spec, x), dy, inner)
    return rows.reshape(spec.kernel_shape)


def _of_tiles(spec: ConvSpec) -> ConvSpec:
    """Return the spec that has a window of one element for each tile."""
    one = (1,) * spec.dims
    return replace(
        spec, size=spec.output, window=one, stride=one, padding=((0, 0),) * spec.dims,
        channels_in=spec.taps * spec.channels_in,
    )  # fmt: skip


def _tiles(spec: ConvSpec, x: Array) -> Array:
    """Return x', with the tiles in the order of their windows."""
    n, channels = x.shape[0], x.shape[-1]
    split = (m for pair in zip(spec.output, spec.window, strict=True) for m in pair)
    parts = covered(spec, x).reshape(n, *split, channels)
    places = range(1, 2 * spec.dims + 1)
    rows = parts.transpose(0, *places[::2], *places[1::2], 2 * spec.dims + 1)
    return rows.reshape(n, *spec.output, spec.taps * channels)


def _rows(spec: ConvSpec, w: Array) -> Array:
    """Return w as the kernel of a window of one element."""
    return w.reshape(*(1,) * spec.dims, spec.taps * spec.channels_in, spec.channels_out)


def _input_gradient_of_groups(spec: ConvSpec, w: Array, dy: Array, inner: Inner) -> Array:
    pairs = zip(jnp.split(w, spec.groups, -1), jnp.split(dy, spec.groups, -1), strict=True)
    each = [input_gradient(spec.one_group(), *pair, inner) for pair in pairs]
    return jnp.concatenate(each, axis=-1)


def _are_tiles(spec: ConvSpec) -> bool:
    """Return whether the windows lie side by side and have more than one element."""
    return spec.taps > 1 == math.prod(spec.dilation) and spec.stride == spec.window


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    terms = spec.taps * spec.channels_in
    few = SLOW_LIBRARY and 1 < spec.channels_in <= MOST_CHANNELS and terms <= MOST_TERMS
    much = spec.groups == 1 and spec.multiply_adds(batch) >= LEAST_WORK
    return (few or math.prod(spec.output) == 1) and much and _are_tiles(spec)


def _applies_to_input_gradient(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    # This form is taken for little work as well: if there is padding, the program that lax makes of
    # the plain form aborts the process (in XLA's algebraic simplifier, JAX 0.10.2).
    return spec.groups == 1 and _are_tiles(spec)


def _applies_to_groups(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    return _are_tiles(spec)


def _applies_to_kernel_gradient(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    much = spec.groups == 1 and spec.multiply_adds(batch) >= LEAST_WORK
    return much and _are_tiles(spec)


FORMS = (
    Form(
        name="tiles",
        contraction="correlate",
        platforms=("cpu",),
        when="an image has one window; where XLA's library is slow, also where windows lie side by"
        f" side, of 2 to {MOST_CHANNELS} input channels and at most {MOST_TERMS} terms",
        applies=_applies,
        run=correlate,
    ),
    Form(
        name="tiles",
        contraction="input_gradient",
        platforms=("cpu",),
        when="windows lie side by side, and there are no groups",
        applies=_applies_to_input_gradient,
        run=input_gradient,
    ),
    Form(
        name="tiles",
        contraction="kernel_gradient",
        platforms=("cpu",),
        when="windows lie side by side, and there are no groups",
        applies=_applies_to_kernel_gradient,
        run=kernel_gradient,
    ),
    Form(
        name="tiles of each group",
        contraction="input_gradient",
        platforms=("cpu",),
        when="windows lie side by side, and no form before this one applies",
        applies=_applies_to_groups,
        run=_input_gradient_of_groups,
    ),
)
