"""The depthwise kernel gradient: one sum for every element of the window. Channels last.

    dw[a, 0, c] = Σ_{n,i} x[n, s·i + d·a − low, c] · dy[n, i, c]

For groups of few channels, the group γ takes the place of the channel (`interleaved.py`):

    dw'[a, c, k, γ] = Σ_{n,i} x'[n, s·i + d·a − low, c, γ] · dy'[n, i, k, γ]

A reduction that keeps only the channels is slow: it goes through memory once for each a, and its
partial sums do not fill a vector. Here whole rows are added, image by image, into one accumulator
of rows for each a, all in one loop; only the accumulators are reduced at the end.

Each turn of the loop first takes its images out of x and dy, in a call that is not fused
(`barriers.call_unfused`). If this were fused into the sums, XLA would read the loop's counter again
for each number, and its code would not be vectorized. 3×3 on 32×7×7×512 takes 2.0 ms fused and
0.8 ms with the images taken first.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxconv._core.arguments import DType, accumulator
from jaxconv._core.barriers import call_unfused
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints
from jaxconv.contraction.depthwise import MOST_TAPS
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.interleaved import LEAST_GROUPS, groups_last
from jaxconv.contraction.shifts import covered, shifts

# Multiply-adds of the plain form below which it is taken; it multiplies every group with every
# other. 3×3, 14×14×16, one image, takes 0.021 ms in this form and 0.133 ms in the plain form.
LEAST_WORK = 2**15
# A group has at most this many pairs of channels, and each pair has a sum for each element of the
# window: 16 groups of 16 channels, 3×3, 8×28×28, take 15 ms in this form and 14 ms side by side
# (`groups.py`). With windows of one element there may be more pairs.
MOST_PAIRS = 144
MOST_PAIRS_OF_ONE_TAP = 1024
# A turn cuts dy into this many parts and adds their products up in registers before it writes the
# sums. It makes MORE_PARTS if the sums for PARTS would not fit the cache: 3×3, 8×56×56×96, takes
# 3.5 ms with 4 and 2.6 ms with 8.
PARTS, MORE_PARTS = 4, 8
# A turn takes two images if x and dy of one have at least this many bytes. From there on XLA splits
# a loop among threads, which costs as much as the loop itself: 3×3, 64×32×32×64, takes 6.5 ms one
# by one and 5.2 ms in pairs.
SHARED = 2**19
# But it takes one image if that has more bytes than these, because two would not fit the cache:
# 7×7, 8×56×56×96, takes 14.4 ms one by one and 22 ms in pairs.
CACHED = 2**20
# A window of more elements is taken some rows at a time, of about TAPS_IN_TURN elements together,
# because each element is a loop to compile. A window of 51 on 8×4096×64 takes 162 ms one element at
# a time and 16 ms eight at a time.
MANY_TAPS = 25
TAPS_IN_TURN = 8


def kernel_gradient(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    """Return dw, computed for the whole window at once or for some of its rows at a time."""
    of_an_element = x.shape[-1] // spec.groups, dy.shape[-1]
    rows, *across = spec.window
    if spec.taps <= MANY_TAPS:
        return _of_rows(spec, x, dy, 0, rows).reshape(*spec.window, *of_an_element)
    some = min(rows, max(1, TAPS_IN_TURN // math.prod(across)))
    # The last turn ends where the window does, so it may compute some rows a second time.
    firsts = np.minimum(np.arange(0, rows, some), rows - some)
    turns = lax.map(lambda first: _of_rows(spec, x, dy, first, some), spec.dilation[0] * firsts)
    turns = turns.reshape(len(firsts), some, *across, *of_an_element)
    again = some * len(firsts) - rows
    before = turns[:-1].reshape(-1, *across, *of_an_element)
    return jnp.concatenate([before, turns[-1, again:]])


def _of_rows(spec: ConvSpec, x: Array, dy: Array, first: ArrayLike, count: int) -> Array:
    """Return the sums for `count` rows of the window; the first of them meets x at row `first`."""
    total = accumulator(x.dtype)
    channels = dy.shape[-1]
    c_in, c_out = x.shape[-1] // spec.groups, channels // spec.groups
    # (c, k, γ). With one input channel per group, x is repeated, and every channel is a group.
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

    def take_x(x: Array, n: Array, first: ArrayLike) -> Array:
        # Pad here and not before the loop, so that no padded copy of all of x is made.
        image = covered(spec, lax.dynamic_slice_in_dim(x, n, images).astype(total))
        image = lax.dynamic_slice_in_dim(image, first, span, axis=1)
        image = jnp.repeat(image, c_out, axis=-1) if c_in == 1 else image
        return jnp.expand_dims(groups_last(image, pairs[2]), -2)

    def take_dy(dy: Array, n: Array) -> Array:
        some = lax.dynamic_slice_in_dim(dy, n, images).astype(total)
        return jnp.expand_dims(groups_last(some, pairs[2]), -3)

    def add(number: Array, sums: tuple[Array, ...]) -> tuple[Array, ...]:
        n = images * number
        seen, some = call_unfused(take_x, x, n, first), call_unfused(take_dy, dy, n)
        parts = [_parts(image, height) for image in some]
        return tuple(
            reduce(lax.add, _products(spec, seen, parts, start, stop), so_far)
            for so_far, (_, start, stop) in zip(sums, shifts(taps), strict=True)
        )

    zeros = jnp.zeros((height, *spec.output[1:], *pairs), total)
    sums = lax.fori_loop(0, x.shape[0] // images, add, (zeros,) * taps.taps)
    return jnp.sum(jnp.stack(sums), axis=tuple(range(1, spec.dims + 1))).swapaxes(-1, -2)


def _images(count: int, size: int) -> int:
    """Return how many of `count` images a turn takes, if each has `size` bytes."""
    pairs = isinstance(count, int) and count % 2 == 0
    return 2 if pairs and SHARED <= size <= CACHED else 1


def _height(rows: int, size: int) -> int:
    """Return how many of `rows` rows a part has, if the sums of a row have `size` bytes."""
    parts = PARTS if rows * size <= PARTS * CACHED else MORE_PARTS
    return -(-rows // parts)


def _parts(dy: Array, height: int) -> list[Array]:
    """Return dy in parts of `height` rows; the last part may have fewer."""
    tops = range(0, len(dy), height)
    return [lax.slice_in_dim(dy, top, min(top + height, len(dy))) for top in tops]


def _products(
    spec: ConvSpec, x: Array, dy: list[list[Array]], start: Ints, stop: Ints
) -> Iterator[Array]:
    """Yield the product of each part of each image of dy with what it meets in x."""
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
            # Fill up the product and not its factors: 0 · ∞ would be NaN.
            missing = height - len(part)
            edges = ((0, missing), *((0, 0),) * (product.ndim - 1))
            yield jnp.pad(product, edges) if missing else product


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
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
        when=f"groups have one input channel, or there are more than {LEAST_GROUPS} groups with at"
        f" most {MOST_PAIRS} pairs of channels each",
        applies=_applies,
        run=kernel_gradient,
    ),
)
