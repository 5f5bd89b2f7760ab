"""The kernel gradient as plain correlations, a few images at a time. Channels last, no groups.

In dw[a, c, k] = Σ_{n,i} x[n, s·i + d·a − low, c] · dy[n, i, k] the channels c are what is left and
the examples n are what is summed. Exchange their parts, and it is a correlation of C images of N
channels with dy as its kernel: i moves within the window, s apart, and a is what slides, by d.

    dw[c, a, k] = Σ_blocks Σ_{i,n} x[c, s·i + d·a − low, n] · dy[i, n, k]       i, n in the block

The plain form says the same in one convolution whose kernel is as large as an image, which fits no
cache. Here each block is copied into the order in which a convolution reads it, channels of the
exchanged images last, and its correlation fits. That order is also what makes it fast inside a
loop: from an array in another order XLA's CPU backend takes its slow generic convolution there
(8 seconds for what takes 0.18 outside of it). All is e apart, as in `apart.py`: kernels as large as
these are what XLA's library is slow for.
"""

import math
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import accumulator, aligned
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

# A dy of fewer numbers fits the cache in the plain form, too, if x has FEW channels or the library
# is slow: 3×3 16→16, 16×32×32, takes 0.88 ms in blocks and 1.24 ms in the plain form.
MANY_NUMBERS, FEW = 2**18, 8
# Otherwise blocks need more: 3×3 64→64, 8×28×28, takes 4.3 ms in blocks and 3.1 ms in the plain
# form.
MANY_NUMBERS_FOR_FAST_LIBRARY = 2**19
# Where dy reaches beyond x, as it does with much padding, XLA's code is slow. Blocks are taken
# there from this many multiply-adds on: 5×5 1→32, padding 4, 64×21×21, takes 1.0 ms in blocks and
# 36 ms in the plain form.
LEAST_WORK_BEYOND = 2**17
# In one dimension, a dy of fewer numbers than this fits the cache in the plain form, too.
MANY_NUMBERS_OF_LINE = 2**20
# In one dimension, the smaller of the two channel counts has to lie between these two: 3 64→64,
# 8×2000, takes 2.9 ms in blocks and 3.5 ms in the plain form.
LEAST_CHANNELS_OF_LINE, MOST_CHANNELS_OF_LINE = 17, 64
# In one dimension, a window may span at most this many positions: 2 64→128, dilated by 512, 8×4512,
# takes 9.3 ms in blocks and 6.2 ms in the plain form.
FARTHEST_OF_LINE = 49
# A block holds so many images: 64→64, 64×32×32, takes 34 ms with 8 and 29 ms with 16.
IMAGES = 16
# Or more, up to a row of so many numbers of one channel; the second is for MANY channels. 32→32,
# 64×16×16, takes 2.7 ms with 16 images and 2.4 ms with 32.
ROW, ROW_OF_MANY, MANY = 512, 256, 64
# But no more than so many numbers in all, as long as it holds LEAST_EXAMPLES. Two blocks are better
# than one.
NUMBERS = 2**20
# A block is taken in two parts or more, and a part has at most so many positions that dy sees; of
# MANY channels fewer: 64→64 takes 35.6 ms with twice as many and 32.8 ms so.
TERMS, TERMS_OF_MANY = 2**14, 2**11


def kernel_gradient(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    """dw, block after block."""
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

    def add_block(dw: Array, block: tuple[Array, ...]) -> tuple[Array, None]:
        x, dy = block
        for top in range(0, spec.output[0], height):
            some = dy[:, top : top + height]
            first = spec.stride[0] * top - spec.covering[0][0]
            reach = spec.stride[0] * (some.shape[1] - 1) + spec.extent[0]
            seen, outside = _rows(x, first, reach)
            # Here, and not before the loop: no padded copy of all of x is ever made.
            edges = ((low, high, 0) for low, high in (outside, *spec.covering[1:]))
            seen = lax.pad(seen, nothing, ((0, 0, 0), *edges, (0, 0, 0)))
            dw = dw + correlate(seen.transpose(exchange), some.transpose(examples_last))
        return dw, None

    nothing = jnp.zeros((), x.dtype)
    zeros = jnp.zeros((x.shape[-1], *spec.window, dy.shape[-1]), total)
    x, dy, zeros = aligned(x, dy, zeros)
    filled = _filled(x, images), _filled(dy, images)
    dw, _ = lax.scan(
        lambda dw, i: add_block(dw, tuple(_block_at(array, images, i) for array in filled)),
        zeros,
        jnp.arange(filled[0].shape[0] // images),
    )
    return jnp.moveaxis(dw, 0, -2)


def _block(spec: ConvSpec, examples: int) -> tuple[int, int]:
    """How many images a block holds, and how many rows of windows its parts are high."""
    rows, *others = spec.output
    channels = spec.channels_in
    row, image = max(1, math.prod(others)), max(1, math.prod(spec.size) * channels)
    most = IMAGES
    if others:
        most = max(most, (ROW if channels < MANY else ROW_OF_MANY) // row)
        most = max(LEAST_EXAMPLES, min(most, NUMBERS // image))
    most = max(1, min(most, examples, max(LEAST_EXAMPLES, examples // 2)))
    # A number that divides the batch, if one is near.
    near = (
        *range(most, max(LEAST_EXAMPLES - 1, most // 2), -1),
        *range(most + 1, 2 * most),
    )
    images = next((m for m in near if examples % m == 0), most)
    seen = images * row * rows * math.prod(spec.stride)
    parts = max(2, -(-seen // (TERMS if channels < MANY else TERMS_OF_MANY)))
    return images, -(-rows // parts)


def _rows(x: Array, first: int, count: int) -> tuple[Array, tuple[int, int]]:
    """So many rows from the first, those that x has; and how many it lacks before and after."""
    start, stop = (min(max(row, 0), x.shape[1]) for row in (first, first + count))
    before = min(max(-first, 0), count)
    return x[:, start:stop], (before, count - before - (stop - start))


def _filled(array: Array, images: int) -> Array:
    """Examples of zeros fill up the last blocks."""
    more = -array.shape[0] % images
    return jnp.pad(array, ((0, more), *((0, 0),) * (array.ndim - 1))) if more else array


def _block_at(array: Array, images: int, i: Array) -> Array:
    """Examples from all over the batch: of one that lies on several devices, each adds its own.

    The array gets its blocks here, in the loop. Before it, whatever computes the array would be
    computed twice, once in this shape.
    """
    blocks = array.reshape(images, array.shape[0] // images, *array.shape[1:])
    return lax.dynamic_index_in_dim(blocks, i, 1, keepdims=False)


def _applies(spec: ConvSpec, batch: int, dtype: Any) -> bool:
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
    easy = SLOW_LIBRARY or spec.channels_in <= FEW
    return numbers >= (MANY_NUMBERS if easy else MANY_NUMBERS_FOR_FAST_LIBRARY)


FORMS = (
    Form(
        name="blocks of images",
        contraction="kernel_gradient",
        platforms=("cpu",),
        when="a dy that leaves the cache or reaches beyond x, without groups",
        applies=_applies,
        run=kernel_gradient,
        needs_batch=True,
    ),
)
