"""Depthwise convolutions: a sum of shifted products of each channel with its own kernel.

With one input channel per group there is no sum over channels, so a matrix product is of no use.
There remains one shifted multiply-add for each element of the window, and these compile to a single
loop over the output. Channels last.
"""

import math
from dataclasses import replace
from functools import reduce

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxconv._core.arguments import DType, accumulator
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Pairs
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.shifts import covered_copy, shifts

# With fewer multiply-adds the loop takes no longer than its call, and the plain form is taken: 3×3,
# 7×7×16, one image, takes 0.010 ms in this form and 0.058 ms in the plain form.
LEAST_WORK = 2**12
# The multiply-adds grow with the window. 31×31, the largest that was measured, is still 60 times
# faster in this form than in the plain form (docs/lab/forms.md).
MOST_TAPS = 1024
# A window of more elements is added up in turns, each of as many rows as have about TAPS elements:
# 13×13, 8×32×32×64, takes 83 ms in one turn and 4.3 ms in turns of 39 elements.
MOST_AT_ONCE = 49
TAPS = 42


def correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """Return y[n, i, c] = Σ_a x[n, s·i + d·a − low, c] · w[a, 0, c], adding one a at a time."""
    return of_covered(spec, covered_copy(spec, x), w)


def of_covered(spec: ConvSpec, x: Array, w: Array) -> Array:
    """Return y for an x that is already padded (`shifts.covered`)."""
    total = accumulator(x.dtype)
    image = jnp.repeat(x.astype(total), spec.out_a_group, axis=-1)
    rows, *others = spec.window
    some = rows if spec.taps <= MOST_AT_ONCE else max(1, TAPS // math.prod(others))
    shape = (x.shape[0], *spec.output, spec.channels_out)

    def part(first: ArrayLike, w: Array) -> Array:
        """Return what these rows of the window add to y; `first` is the position of the first."""
        taps = replace(spec, window=(w.shape[0], *others), padding=_cut(spec, w.shape[0]))
        span = spec.stride[0] * (spec.output[0] - 1) + taps.extent[0]
        seen = lax.dynamic_slice_in_dim(image, first, span, axis=1)
        elements = lax.split(w.astype(total).reshape(-1, shape[-1]), (1,) * taps.taps)
        terms = (
            lax.mul(
                lax.slice(seen, (0, *start, 0), (shape[0], *stop, shape[-1]), (1, *spec.stride, 1)),
                lax.broadcast(lax.squeeze(element, (0,)), shape[:-1]),
            )
            for (_, start, stop), element in zip(shifts(taps), elements, strict=True)
        )
        return reduce(lax.add, terms)

    if some >= rows:
        return part(0, w)
    zeros = jnp.zeros(shape, total)
    turns, left = divmod(rows, some)
    firsts = spec.dilation[0] * some * np.arange(turns + 1)
    in_turn = w[: some * turns].reshape(turns, some, *w.shape[1:])
    y, _ = lax.scan(lambda y, row: (y + part(*row), None), zeros, (firsts[:-1], in_turn))
    return y + part(firsts[-1], w[-left:]) if left else y


def _cut(spec: ConvSpec, rows: int) -> Pairs:
    """Return the padding with which a window of only `rows` rows fits as often as the whole."""
    (low, high), *others = spec.padding
    return ((low, high - spec.dilation[0] * (spec.window[0] - rows)), *others)


def correlate_members(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """Return y of groups with one output channel: the sum over the input channels of a group.

    This is the input gradient of a depthwise convolution with several output channels per group.
    """
    members = spec.in_a_group
    one = replace(spec, channels_in=spec.groups)
    # One input channel of each group at a time: 3×3, 32×28×28×64, two channels per group, takes
    # 6 ms this way, and 62 ms in one pass over all channels with a sum at its end.
    return reduce(
        lax.add,
        (correlate(one, x[..., m::members], w[..., m : m + 1, :], inner) for m in range(members)),
    )


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    few = spec.in_a_group == 1 < spec.groups and spec.taps <= MOST_TAPS
    return few and spec.multiply_adds(batch) >= LEAST_WORK


def _applies_to_members(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    few = spec.out_a_group == 1 < spec.groups and spec.taps <= MOST_TAPS
    return few and spec.multiply_adds(batch) >= LEAST_WORK


FORMS = (
    Form(
        name="depthwise",
        contraction="correlate",
        platforms=("cpu",),
        when=f"groups have one input channel, and windows at most {MOST_TAPS} elements",
        applies=_applies,
        run=correlate,
    ),
    Form(
        name="depthwise, summed",
        contraction="correlate",
        platforms=("cpu",),
        when=f"groups have one output channel, and windows at most {MOST_TAPS} elements",
        applies=_applies_to_members,
        run=correlate_members,
    ),
)
