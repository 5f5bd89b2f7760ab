"""The depthwise kernel gradient: a sum for every element of the window. Channels last.

    dw[a, 0, c] = Σ_{n,i} x[n, s·i + d·a − low, c] · dy[n, i, c]

And that of groups of few channels, with the group γ in place of the channel (`interleaved.py`):

    dw'[a, c, k, γ] = Σ_{n,i} x'[n, s·i + d·a − low, c, γ] · dy'[n, i, k, γ]

A reduction that keeps only the channels is slow: it goes through memory once for each a, and its
partial sums do not fill a vector. Here whole rows are added, image by image, into one accumulator
of rows for each a, all of them in one loop; only those are reduced at the end.

The images of a turn are first taken out of x and dy, in a call that is not fused
(`barriers.call_unfused`). Fused into the sums, each number would be looked up where it is used: XLA
would read the loop's counter again for each of them, and its code would not be vectorized. 3×3 on
32×7×7×512 takes 2.0 ms fused and 0.8 ms with the images taken first.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv._core.arguments import accumulator, aligned
from jaxconv._core.barriers import call_unfused
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints
from jaxconv.contraction.depthwise import MOST_TAPS
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.interleaved import LEAST_GROUPS, groups_last
from jaxconv.contraction.shifts import covered, shifts

# Multiply-adds of the plain form, which multiplies every group with every other, below which it is
# taken: 3×3, 14×14×16, one image, takes 0.021 ms and in the plain form 0.133 ms.
LEAST_WORK = 2**15
# Groups of so many pairs of channels have a sum for each pair and each element of the window: 16 of
# 16, 3×3, 8×28×28, take 15 ms so and 14 ms side by side. Windows of one element may have more.
MOST_PAIRS = 144
MOST_PAIRS_OF_ONE_TAP = 1024
# A turn adds so many parts up in registers before anything is written: MORE_PARTS of them if the
# sums for PARTS would leave the cache. 3×3, 8×56×56×96, takes 3.5 ms with 4 and 2.6 ms with 8.
PARTS, MORE_PARTS = 4, 8
# It takes two images if one has at least so many bytes, x and dy, which is where XLA shares a loop
# among threads, and that costs as much as the loop: 3×3, 64×32×32×64, takes 6.5 ms one by one and
# 5.2 ms in pairs.
SHARED = 2**19
# But no more bytes than these, for the cache: 7×7, 8×56×56×96, takes 14.4 ms one by one and 22 ms
# in pairs.
CACHED = 2**20
# A window of more elements is taken row by row or, in one dimension, so many elements at a time:
# each is a loop to compile. 51 of 8×4096×64 take 162 ms one by one and 16 ms eight at a time.
MANY_TAPS = 25
TAPS_IN_TURN = 8


def kernel_gradient(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    """dw, for all of the window at once or for some of its rows after the other."""
    of_an_element = x.shape[-1] // spec.groups, dy.shape[-1]
    rows, *across = spec.window
    if spec.taps <= MANY_TAPS:
        return _of_rows(spec, x, dy, 0, rows).reshape(*spec.window, *of_an_element)
    some = min(rows, max(1, TAPS_IN_TURN // math.prod(across)))
    # The last turn ends where the window does, and finds again what the one before it has found.
    firsts = np.minimum(np.arange(0, rows, some), rows - some)
    turns = lax.map(lambda first: _of_rows(spec, x, dy, first, some), spec.dilation[0] * firsts)
    turns = turns.reshape(len(firsts), some, *across, *of_an_element)
    again = some * len(firsts) - rows
    before = turns[:-1].reshape(-1, *across, *of_an_element)
    return jnp.concatenate([before, turns[-1, again:]])


def _of_rows(spec: ConvSpec, x: Array, dy: Array, first: Any, count: int) -> Array:
    """The sums for so many rows of the window; x has the first of them `first` rows further on."""
    total = accumulator(x.dtype)
    channels = dy.shape[-1]
    c_in, c_out = x.shape[-1] // spec.groups, channels // spec.groups
    # (c, k, γ). Of one channel to a group, x is repeated, and each of its channels is a group.
    pairs = (1, 1, channels) if c_in == 1 else (c_in, c_out, spec.groups)
    cut = spec.dilation[0] * (spec.window[0] - count)
    (low, high), *others = spec.padding
    taps = replace(spec, window=(count, *spec.window[1:]), padding=((low, high - cut), *others))
    span = spec.stride[0] * (spec.output[0] - 1) + taps.extent[0]
    _, _, *wide, _ = jax.eval_shape(partial(covered, spec), x).shape
    numbers = channels * (span * math.prod(wide) + math.prod(spec.output))
    images = _images(x.shape[0], total.itemsize * numbers)
    a_row = total.itemsize * math.prod((*taps.window, *spec.output[1:], *pairs))
    height = _height(spec.output[0] * images, a_row)

    def take_x(x: Array, n: Array, first: Any) -> Array:
        # Here, and not before the loop: no padded copy of all of x is ever made.
        image = covered(spec, lax.dynamic_slice_in_dim(x, n, images).astype(total))
        image = lax.dynamic_slice_in_dim(image, first, span, axis=1)
        image = jnp.repeat(image, c_out, axis=-1) if c_in == 1 else image
        return jnp.expand_dims(groups_last(image, pairs[2]), -2)

    def take_dy(dy: Array, n: Array) -> Array:
        some = lax.dynamic_slice_in_dim(dy, n, images).astype(total)
        return jnp.expand_dims(groups_last(some, pairs[2]), -3)

    def add(number: Array, sums: tuple[Array, ...]) -> tuple[Array, ...]:
        n = images * number
        seen, some = call_unfused(take_x, all_x, n, first), call_unfused(take_dy, all_dy, n)
        parts = [_parts(image, height) for image in some]
        return tuple(
            reduce(lax.add, _products(spec, seen, parts, start, stop), so_far)
            for so_far, (_, start, stop) in zip(sums, shifts(taps), strict=True)
        )

    zeros = jnp.zeros((height, *spec.output[1:], *pairs), total)
    all_x, all_dy, zeros = aligned(x, dy, zeros)
    sums = lax.fori_loop(0, x.shape[0] // images, add, (zeros,) * taps.taps)
    return jnp.sum(jnp.stack(sums), axis=tuple(range(1, spec.dims + 1))).swapaxes(-1, -2)


def _images(count: Any, size: int) -> int:
    """How many of `count` images, each of so many bytes, a turn takes."""
    pairs = isinstance(count, int) and count % 2 == 0
    return 2 if pairs and SHARED <= size <= CACHED else 1


def _height(rows: int, size: int) -> int:
    """How many rows a part has, of so many, each of which is so many bytes of sums."""
    parts = PARTS if rows * size <= PARTS * CACHED else MORE_PARTS
    return -(-rows // parts)


def _parts(dy: Array, height: int) -> list[Array]:
    """Its rows, so many in each."""
    tops = range(0, len(dy), height)
    return [lax.slice_in_dim(dy, top, min(top + height, len(dy))) for top in tops]


def _products(
    spec: ConvSpec, x: Array, dy: list[list[Array]], start: Ints, stop: Ints
) -> Iterator[Array]:
    """Each image of x from start to stop, times dy, of which each image is cut into parts."""
    for image, parts in zip(x, dy, strict=True):
        height, own = len(parts[0]), image.shape[spec.dims :]
        for number, part in enumerate(parts):
            line = start[0] + spec.stride[0] * height * number
            last = line + spec.stride[0] * (len(part) - 1)
            seen = lax.slice(
                image,
                (line, *start[1:], *(0 for _ in own)),
                (last + 1, *stop[1:], *own),
                (*spec.stride, *(1 for _ in own)),
            )
            shape = jnp.broadcast_shapes(seen.shape, part.shape)
            product = lax.mul(jnp.broadcast_to(seen, shape), jnp.broadcast_to(part, shape))
            # The product is filled up, not its factors: 0 · ∞ would be NaN.
            missing = height - len(part)
            edges = ((0, missing), *((0, 0),) * (product.ndim - 1))
            yield jnp.pad(product, edges) if missing else product


def _applies(spec: ConvSpec, batch: int, dtype: Any) -> bool:
    depthwise = spec.in_a_group == 1 < spec.groups and spec.taps <= MOST_TAPS
    most = MOST_PAIRS_OF_ONE_TAP if spec.taps == 1 else MOST_PAIRS
    many = spec.groups > LEAST_GROUPS and spec.in_a_group * spec.out_a_group <= most
    plain = spec.multiply_adds(batch) * spec.groups
    return (depthwise or (many and spec.in_a_group > 1)) and plain >= LEAST_WORK


FORMS = (
    Form(
        name="sums of rows",
        contraction="kernel_gradient",
        platforms=("cpu",),
        when=f"groups have one input channel, or they are more than {LEAST_GROUPS} and have at most"
        f" {MOST_PAIRS} pairs of channels",
        applies=_applies,
        run=kernel_gradient,
    ),
)
