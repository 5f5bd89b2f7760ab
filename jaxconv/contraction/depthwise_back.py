"""The input gradient of a depthwise convolution that has a stride. Channels last.

    dx[n, s·m + r − low, c] = Σ_j dy[n, m − j, c] · w[s·j + r, 0, c]

A position of phase r meets only the window elements s·j + r, and the phases r lie on axes of their
own. With several output channels per group, dx is the sum of the input gradients of each.
"""

import itertools
import math
from functools import reduce

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv._core.arguments import DType, accumulator
from jaxconv._core.barriers import call_unfused, pad_zeros_unfused
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.windows import add_back, turns
from jaxconv.contraction import depthwise, phases
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.kernels import transposed
from jaxconv.contraction.shifts import covered

# Multiply-adds below which the plain form is taken. Those with the zeros between the elements of dy
# count, because the plain form computes them: 3×3, stride 2, 7×7×16, one image, takes 0.010 ms in
# this form and 0.066 ms in the plain form.
LEAST_WORK = 2**12


def input_gradient(spec: ConvSpec, w: Array, dy: Array, inner: Inner) -> Array:
    """dx[n, p, c] = Σ_k Σ_{i,a : s·i + d·a − low = p} dy[n, i, k] · w[a, 0, k], k in group c."""
    members = spec.out_a_group
    one = spec.with_channels(spec.channels_in, spec.groups)
    return reduce(
        lax.add,
        (_one_way_back(one, w[..., m::members], dy[..., m::members]) for m in range(members)),
    )


def _one_way_back(spec: ConvSpec, w: Array, dy: Array) -> Array:
    """Return dx for one output channel per group."""
    few = math.prod(turns(spec.windows())) <= depthwise.MOST_AT_ONCE
    if max(spec.dilation) == 1 and few:
        return _phases_on_axes(spec, w, dy)
    # No phase gets a padded copy of its own: 3×3, stride 2, 32×16×16×64, takes 0.58 ms without
    # copies and 1.0 ms with them.
    return phases.correlate(
        spec.transposed,
        dy,
        transposed(w, spec.groups),
        lambda phase, dy, w: depthwise.of_covered(phase, covered(phase, dy), w),
    )


def _phases_on_axes(spec: ConvSpec, w: Array, dy: Array) -> Array:
    """Return dx with r on axes of its own, so that the next operation is fused with its placement.

    Phases that are computed one by one have to be interleaved afterwards. Alone both ways take
    equally long, but a MobileNet-like training step takes 255 ms with separate phases and 233 ms
    with axes.
    """
    windows = spec.windows()
    total = accumulator(dy.dtype)
    count, channels = spec.taps, w.shape[-1]

    def in_turns(w: Array) -> Array:
        """Return the taps s·j + r at [j, …, r, …], with zeros where the window has ended."""
        numbers = zip(turns(windows), spec.stride, spec.window, strict=True)
        ends = [(0, t * s - k) for t, s, k in numbers]
        taps = jnp.pad(w.astype(total).reshape(*spec.window, channels), (*ends, (0, 0)))
        pairs = itertools.chain.from_iterable(zip(turns(windows), spec.stride, strict=True))
        taps = taps.reshape(*pairs, channels)
        dims = spec.dims
        return taps.transpose(*range(0, 2 * dims, 2), *range(1, 2 * dims, 2), 2 * dims)

    # If fused, taps would be looked up for each number: 7×7, 16×56×56×96, takes 24 ms instead of 5.
    taps = call_unfused(in_turns, w)

    def times_tap(a: np.ndarray, dy: Array) -> Array:
        first = np.unravel_index(a.flat[0], spec.window)
        j = tuple(int(i) // s for i, s in zip(first, spec.stride, strict=True))
        product = dy * taps[j].reshape(*a.shape[:-1], channels)
        # Drop the products with the zeros that `in_turns` has added: 0 · ∞ is NaN.
        return product if (a < count).all() else jnp.where(a < count, product, 0)

    return add_back(windows, times_tap, dy.astype(total), pad=pad_zeros_unfused)


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    if not spec.in_a_group == 1 < spec.groups or spec.taps > depthwise.MOST_TAPS:
        return False
    return batch * math.prod(spec.size) * spec.taps * spec.channels_out >= LEAST_WORK


FORMS = (
    Form(
        name="depthwise",
        contraction="input_gradient",
        platforms=("cpu",),
        when=f"groups have one input channel, and windows at most {depthwise.MOST_TAPS} elements",
        applies=_applies,
        run=input_gradient,
    ),
)
