"""Many groups of few channels: several groups together fill a vector. Channels last.

Channel c of group γ lies at γ·C + c. Move the groups to the last axis, after that of the channels
of a group: x'[n, p, c, γ], and y' and w' likewise. Then

    y'[n, i, k, γ] = Σ_{a,c} x'[n, s·i + d·a − low, c, γ] · w'[a, c, k, γ]

is the depthwise sum with γ in place of the channel, and over c as well: shifted multiply-adds, in
one loop over the output. A group by itself would be a matrix product with few columns, which do not
fill a vector.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial, reduce

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import DType, accumulator
from jaxconv._core.barriers import call_unfused, pad_zeros_by_rows
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.shifts import shifts

# Multiply-adds below which the plain form is taken, which compiles in a tenth of the time: 16
# groups of 4 channels, 3×3, 7×7, one image, take 0.040 ms in this form and 0.079 ms in the plain
# form.
LEAST_WORK = 2**16
# At least this many groups fill a vector: 8 groups of 2 channels, 3×3, 16×28×28, take 0.5 ms
# interleaved and 0.8 ms in turn.
LEAST_GROUPS = 8
# With more input channels per group, a product for each group is faster: 16 groups of 16 channels,
# 8×28×28, take 17 ms interleaved and 10 ms in turn. For 1×1 the limit is higher.
MOST_CHANNELS = 12
MOST_CHANNELS_OF_ONE_TAP = 16
# A loop adds at most this many terms, which are window elements times channels, and the rows of a
# larger window are taken in several loops: 16 groups of 8 channels, 3×3, take 8.4 ms in one loop of
# 72 terms and 5.9 ms in two loops.
TERMS = 64
# Each loop takes about 0.1 s to compile.
MOST_LOOPS = 8


def correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """Return y, computed from copies of x and w that have their groups last."""
    total = accumulator(x.dtype)

    def covered(x: Array) -> Array:
        last = groups_last(x.astype(total), spec.groups).reshape(x.shape)
        return pad_zeros_by_rows(last, ((0, 0), *spec.covering, (0, 0)))

    # Unfused: inside the sum, each number would be looked up in x or w wherever it is used.
    image = call_unfused(covered, x)
    taps = call_unfused(partial(groups_last, groups=spec.groups), w.astype(total))
    parts = (call_unfused(partial(_sum, part, first), image, taps) for first, part in _loops(spec))
    y = reduce(lax.add, parts).swapaxes(-1, -2)
    return y.reshape(x.shape[0], *spec.output, spec.channels_out)


def _loops(spec: ConvSpec) -> Iterator[tuple[int, ConvSpec]]:
    """Yield for each loop the first row of the window that it takes, and the spec of its rows."""
    some = _rows(spec.window, spec.in_a_group)
    (low, high), *others = spec.padding
    for first in range(0, spec.window[0], some):
        rows = min(some, spec.window[0] - first)
        missing = spec.dilation[0] * (spec.window[0] - rows)
        padding = ((low, high - missing), *others)
        yield first, replace(spec, window=(rows, *spec.window[1:]), padding=padding)


def _rows(window: Ints, c_in: int) -> int:
    """Return how many rows of the window a loop takes."""
    return max(1, min(window[0], TERMS // (math.prod(window[1:]) * c_in)))


def _sum(spec: ConvSpec, first: int, image: Array, taps: Array) -> Array:
    """Return what the rows of the window from `first` on, as many as spec has, add to y'.

    `image` is x' with its padding, and with c and γ on one axis; `taps` is w'.
    """
    *_, c_in, c_out, count = taps.shape
    n = image.shape[0]
    shape = (n, *spec.output, c_out, count)
    moved = (spec.dilation[0] * first, *(0,) * (spec.dims - 1))

    def seen(c: int, start: Ints, stop: Ints) -> Array:
        begin, end = ([p + m for p, m in zip(place, moved, strict=True)] for place in (start, stop))
        strides = (1, *spec.stride, 1)
        part = lax.slice(image, (0, *begin, c * count), (n, *end, (c + 1) * count), strides)
        return jnp.broadcast_to(jnp.expand_dims(part, -2), shape)

    # Sum over c for each tap, and then over the taps: a third less rounding error than in one sum.
    of_taps = (
        reduce(
            lax.add,
            (
                lax.mul(seen(c, start, stop), jnp.broadcast_to(taps[(first + row, *a, c)], shape))
                for c in range(c_in)
            ),
        )
        for (row, *a), start, stop in shifts(spec)
    )
    return reduce(lax.add, of_taps)


def groups_last(array: Array, groups: int) -> Array:
    """Return an array of shape (…, groups · c) with shape (…, c, groups)."""
    *others, channels = array.shape
    return array.reshape(*others, groups, channels // groups).swapaxes(-1, -2)


def is_interleaved(window: Ints, groups: int, c_in: int) -> bool:
    """Return whether this form suits `groups` groups with `c_in` input channels each."""
    most = MOST_CHANNELS_OF_ONE_TAP if set(window) == {1} else MOST_CHANNELS
    if groups < LEAST_GROUPS or c_in > most or math.prod(window[1:]) * c_in > TERMS:
        return False
    return -(-window[0] // _rows(window, c_in)) <= MOST_LOOPS


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    if not is_interleaved(spec.window, spec.groups, spec.in_a_group):
        return False
    return spec.multiply_adds(batch) >= LEAST_WORK


FORMS = (
    Form(
        name="interleaved",
        contraction="correlate",
        platforms=("cpu",),
        when=f"at least {LEAST_GROUPS} groups of at most {MOST_CHANNELS} input channels",
        applies=_applies,
        run=correlate,
    ),
)
