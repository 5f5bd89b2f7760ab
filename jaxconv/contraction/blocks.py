"""The kernel gradient as correlations of a few images each. Channels last, no groups.

In dw[a, c, k] = Σ_{n,i} x[n, s·i + d·a − low, c] · dy[n, i, k] the channels c remain and the
examples n are summed. If they exchange their parts, dw is a correlation of C images of N channels
with dy as its kernel: i is the element of the window, with elements s apart, and a is the position
of the window, which moves by d.

    dw[c, a, k] = Σ_blocks Σ_{i,n} x[c, s·i + d·a − low, n] · dy[i, n, k]       i, n in the block

The plain form computes this in one convolution, whose kernel dy does not fit the cache. Here each
block of images is copied into the order in which a convolution reads it, with the channels of the
exchanged images last, and the correlation of a block fits the cache. The order also makes it fast
inside a loop: from an array in another order XLA's CPU backend uses its slow generic convolution
there (8 seconds instead of 0.18 outside of the loop). All elements are e apart, as in `apart.py`,
because XLA's library is slow for kernels as large as these.
"""

import math
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import DType, accumulator
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction.apart import (
    LEAST_EXAMPLES,
    TOO_FEW,
    distances,
    numbers_of_dy,
    reaches_beyond,
    times,
)
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.library import SLOW_LIBRARY

# Blocks are used from this many numbers of dy on, if x has at most FEW channels, or if the library
# is slow and there are at least LEAST_EXAMPLES images: 3×3 16→16, 16×32×32, takes 0.88 ms in blocks
# and 1.24 ms in the plain form.
MANY_NUMBERS, FEW = 2**18, 8
# Otherwise blocks need more numbers of dy: 3×3 64→64, 4×32×32, takes 4.1 ms in blocks and 3.2 ms in
# the plain form.
MANY_NUMBERS_FOR_FAST_LIBRARY = 2**19
# Where dy is larger than x, as it is with much padding, XLA's code is slow. Blocks are used there
# from this many multiply-adds on: 5×5 1→32, padding 4, 64×21×21, takes 1.0 ms in blocks and 36 ms
# in the plain form.
LEAST_WORK_BEYOND = 2**17
# In one dimension, a dy of fewer numbers than this fits the cache in the plain form as well.
MANY_NUMBERS_OF_LINE = 2**20
# In one dimension, the smaller of the two channel counts has to lie between these two: 3 64→64,
# 8×2000, takes 2.9 ms in blocks and 3.5 ms in the plain form.
LEAST_CHANNELS_OF_LINE, MOST_CHANNELS_OF_LINE = 17, 64
# In one dimension, a window may span at most this many positions: 2 64→128, dilated by 512, 8×4512,
# takes 9.3 ms in blocks and 6.2 ms in the plain form.
FARTHEST_OF_LINE = 49
# A block holds this many images: 64→64, 64×32×32, takes 34 ms with 8 and 29 ms with 16.
IMAGES = 16
# It holds more if a row of all its images has at most ROW positions then, or ROW_OF_MANY positions
# with at least MANY channels: 32→32, 64×16×16, takes 2.7 ms with 16 images and 2.4 ms with 32.
ROW, ROW_OF_MANY, MANY = 512, 256, 64
# But it holds at most this many numbers of x, if these are LEAST_EXAMPLES images or more. A batch
# makes two blocks or more, if it has enough images.
NUMBERS = 2**20
# The rows of a block are taken in two parts or more, each of at most TERMS positions of x, or
# TERMS_OF_MANY with at least MANY channels: 64→64 takes 35.6 ms with twice as many and 32.8 ms with
# this limit.
TERMS, TERMS_OF_MANY = 2**14, 2**11
# The parts are a loop that takes this many at a time, so that XLA can copy one while it correlates
# another: 3×3, 3→64, stride 2, 64×128×64, takes 13.8 ms with two at a time and 10.2 ms with four.
AT_ONCE = 4


def kernel_gradient(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    """Return dw, computed block after block."""
    dims = spec.dims
    images, height = _block(spec, x.shape[0])
    library = images >= LEAST_EXAMPLES and max(images, dy.shape[-1]) > TOO_FEW
    e = distances(dims, x.dtype) if library else (1,) * dims
    total = accumulator(x.dtype)
    exchange = (dims + 1, *range(1, dims + 1), 0)
    examples_last = (*range(1, dims + 1), 0, dims + 1)
    channels_last = (0, dims + 1, *range(1, dims + 1))
    correlate = partial(
        lax.conv_general_dilated,
        window_strides=times(e, spec.dilation),
        lhs_dilation=e,
        rhs_dilation=times(e, spec.stride),
        padding=((0, 0),) * dims,
        dimension_numbers=lax.ConvDimensionNumbers(
            channels_last, (dims + 1, dims, *range(dims)), channels_last
        ),
        precision=inner.precision,
        preferred_element_type=total,
    )

    def add_rows(dw: Array, x: Array, dy: Array, outside: tuple[int, int]) -> Array:
        # Pad here and not before the loop, so that no padded copy of all of x is made.
        edges = ((low, high, 0) for low, high in (outside, *spec.covering[1:]))
        seen = lax.pad(x, nothing, ((0, 0, 0), *edges, (0, 0, 0)))
        return dw + correlate(seen.transpose(exchange), dy.transpose(examples_last))

    def add_parts(dw: Array, x: Array, dy: Array, part: _Parts) -> Array:
        if part.repeats == 1:
            seen, outside = _rows(x, part.first, part.reach)
            return add_rows(dw, seen, dy[:, part.top : part.top + height], outside)

        def add_part(i: Array, dw: Array) -> Array:
            first = part.first + spec.stride[0] * height * i
            seen = lax.dynamic_slice_in_dim(x, first, part.reach, axis=1)
            some = lax.dynamic_slice_in_dim(dy, part.top + height * i, height, axis=1)
            return add_rows(dw, seen, some, (0, 0))

        return lax.fori_loop(0, part.repeats, add_part, dw, unroll=AT_ONCE)

    def add_block(i: Array, dw: Array) -> Array:
        some_x, some_dy = (_block_at(array, images, i) for array in filled)
        for part in parts:
            dw = add_parts(dw, some_x, some_dy, part)
        return dw

    parts, nothing = _parts(spec, height), jnp.zeros((), x.dtype)
    zeros = jnp.zeros((x.shape[-1], *spec.window, dy.shape[-1]), total)
    filled = _filled(x, images), _filled(dy, images)
    dw = lax.fori_loop(0, filled[0].shape[0] // images, add_block, zeros)
    return jnp.moveaxis(dw, 0, -2)


def _block(spec: ConvSpec, examples: int) -> tuple[int, int]:
    """Return how many images a block holds, and how many rows of windows each part of it has."""
    rows, *others = spec.output
    channels = spec.channels_in
    row, image = max(1, math.prod(others)), max(1, math.prod(spec.size) * channels)
    most = IMAGES
    if others:
        most = max(most, (ROW if channels < MANY else ROW_OF_MANY) // row)
        most = max(LEAST_EXAMPLES, min(most, NUMBERS // image))
    most = max(1, min(most, examples, max(LEAST_EXAMPLES, examples // 2)))
    # Prefer a number nearby that divides the batch.
    near = (
        *range(most, max(LEAST_EXAMPLES - 1, most // 2), -1),
        *range(most + 1, 2 * most),
    )
    images = next((m for m in near if examples % m == 0), most)
    seen = images * row * rows * math.prod(spec.stride)
    parts = max(2, -(-seen // (TERMS if channels < MANY else TERMS_OF_MANY)))
    return images, -(-rows // parts)


class _Parts(NamedTuple):
    """Parts of a block that are alike, one below the other.

    Attributes:
        top: the first row of dy of the first part.
        first: the row of x where it begins, which may lie in the padding.
        reach: the number of rows of x that a part sees.
        repeats: the number of parts. If there are several, they see no padding.
    """

    top: int
    first: int
    reach: int
    repeats: int


def _parts(spec: ConvSpec, height: int) -> list[_Parts]:
    """Return the parts of a block, each of `height` rows of dy; the last may have fewer."""
    parts: list[_Parts] = []
    for top in range(0, spec.output[0], height):
        count = min(height, spec.output[0] - top)
        first = spec.stride[0] * top - spec.covering[0][0]
        reach = spec.stride[0] * (count - 1) + spec.extent[0]
        last = parts[-1] if parts else None
        ends = first + reach > spec.size[0] or count < height
        if last is None or last.first < 0 or ends:
            parts.append(_Parts(top, first, reach, 1))
        else:
            parts[-1] = last._replace(repeats=last.repeats + 1)
    return parts


def _rows(x: Array, first: int, count: int) -> tuple[Array, tuple[int, int]]:
    """Return the rows of x among `count` from `first` on, and how many are missing on each side."""
    start, stop = (min(max(row, 0), x.shape[1]) for row in (first, first + count))
    before = min(max(-first, 0), count)
    return x[:, start:stop], (before, count - before - (stop - start))


def _filled(array: Array, images: int) -> Array:
    """Return the array with examples of zeros added, so that it divides into blocks."""
    more = -array.shape[0] % images
    return jnp.pad(array, ((0, more), *((0, 0),) * (array.ndim - 1))) if more else array


def _block_at(array: Array, images: int, i: Array) -> Array:
    """Return block i, whose examples are spread over the batch.

    The array gets the shape of blocks here, in the loop: if it got it before, XLA would compute the
    array twice, once in this shape.
    """
    blocks = array.reshape(images, array.shape[0] // images, *array.shape[1:])
    return lax.dynamic_index_in_dim(blocks, i, 1, keepdims=False)


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    numbers = numbers_of_dy(spec, batch)
    if spec.groups > 1:
        return False
    if spec.dims == 1:
        fewest = min(spec.channels_in, spec.channels_out)
        fits = LEAST_CHANNELS_OF_LINE <= fewest <= MOST_CHANNELS_OF_LINE
        near = spec.extent[0] <= FARTHEST_OF_LINE and batch >= LEAST_EXAMPLES
        return fits and near and numbers >= MANY_NUMBERS_OF_LINE
    if reaches_beyond(spec):
        return spec.multiply_adds(batch) >= LEAST_WORK_BEYOND
    slow = SLOW_LIBRARY and batch >= LEAST_EXAMPLES
    easy = slow or spec.channels_in <= FEW
    return numbers >= (MANY_NUMBERS if easy else MANY_NUMBERS_FOR_FAST_LIBRARY)


FORMS = (
    Form(
        name="blocks of images",
        contraction="kernel_gradient",
        platforms=("cpu",),
        when="a dy that is too large for the cache or larger than x, without groups",
        applies=_applies,
        run=kernel_gradient,
        needs_batch=True,
    ),
)
