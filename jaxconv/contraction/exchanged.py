"""The kernel gradient as plain correlations, a few images at a time. Channels last, no groups.

In dw[a, c, k] = Σ_{n,i} x[n, s·i + d·a − low, c] · dy[n, i, k] the channels c are what is left and
the examples n are what is summed. Exchange their parts, and it is a correlation of C images of N
channels with dy as its kernel: i moves within the window, s apart, and a is what slides, by d.

    dw[c, a, k] = Σ_blocks Σ_{i,n} x[c, s·i + d·a − low, n] · dy[i, n, k]       i, n in the block

The plain form says the same in one convolution whose kernel is as large as an image, which fits no
cache. Here each block is copied into the order in which a convolution reads it, channels of the
exchanged images last, and its correlation fits. That order is also what makes it fast inside a
loop: from an array in another order XLA's CPU backend takes its slow generic convolution there
(8 seconds for what takes 0.18 outside of it).
"""

import math
from functools import partial

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.arguments import accumulator, aligned
from jaxconv.geometry import ConvGeometry

# Measured on a dozen shapes (docs/benchmarks.md): a row of a block should hold about so many
# numbers of one channel, its images counted, and the images of a block at most so many numbers:
# twice the row with stride 2, 64 → 128 channels, 21 ms for 17.5. With fewer images copying does
# not fill a vector.
ROW = 256
NUMBERS = 3 * 2**18
LEAST = 4
# In one dimension a row is one position of so many images: 5 of 64→64, 32×1024, 8 or 16 at a time
# 8.7 ms, 32 at a time 9.3.
IMAGES = 16
# A block is taken in two parts or more, 16 channels in one: 4.9 ms for 3.9. A part has at most so
# many numbers of dy's positions · x's channels, or so many positions if these are more: 64 channels
# with twice as many, 41 ms for 34; 32 channels with half, 31 for 27.
PART = 2**17
TERMS = 2048
# With fewer channels a part is padded as it is copied; with more, that is left to the correlation.
# ms, padded first / by the correlation: 16 channels 3.2 / 3.9, 24 channels 9.6 / 5.7, 64 52 / 34.
MANY_CHANNELS = 24


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array) -> Array:
    """dw, block after block."""
    images, height = _block(g, len(x), x.shape[-1])
    total = accumulator(x.dtype)
    exchange = (g.dims + 1, *range(1, g.dims + 1), 0)
    examples_last = (*range(1, g.dims + 1), 0, g.dims + 1)
    channels_last = (0, g.dims + 1, *range(1, g.dims + 1))
    correlate = partial(
        lax.conv_general_dilated,
        window_strides=g.dilation,
        rhs_dilation=g.stride,
        dimension_numbers=lax.ConvDimensionNumbers(
            channels_last, (g.dims + 1, g.dims, *range(g.dims)), channels_last
        ),
        precision=g.precision,
        preferred_element_type=total,
    )

    def add_block(dw: Array, block: tuple[Array, ...]) -> tuple[Array, None]:
        x, dy = block
        for top in range(0, g.output[0], height):
            some = dy[:, top : top + height]
            first = g.stride[0] * top - g.covering[0][0]
            reach = g.stride[0] * (some.shape[1] - 1) + g.extent[0]
            seen, outside = _rows(x, first, reach)
            padding = (outside, *g.covering[1:])
            if x.shape[-1] < MANY_CHANNELS:
                # Here, and not before the loop: no padded copy of all of x is ever made.
                border = ((0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0))
                seen, padding = lax.pad(seen, nothing, border), ((0, 0),) * g.dims
            dw = dw + correlate(
                seen.transpose(exchange), some.transpose(examples_last), padding=padding
            )
        return dw, None

    nothing = jnp.zeros((), x.dtype)
    zeros = jnp.zeros((x.shape[-1], *g.window, dy.shape[-1]), total)
    x, dy, zeros = aligned(x, dy, zeros)
    if len(x) == 0:
        return jnp.moveaxis(zeros, 0, -2)
    filled = _filled(x, images), _filled(dy, images)
    dw, _ = lax.scan(
        lambda dw, i: add_block(dw, tuple(_block_at(array, images, i) for array in filled)),
        zeros,
        jnp.arange(len(filled[0]) // images),
    )
    return jnp.moveaxis(dw, 0, -2)


def _block(g: ConvGeometry, examples: int, channels: int) -> tuple[int, int]:
    """How many images a block holds, and how many rows of windows its parts are high."""
    rows, *others = g.output
    row, image = max(1, math.prod(others)), max(1, math.prod(g.size) * channels)
    most = min(ROW // row if others else IMAGES, NUMBERS // image)
    most = min(examples, max(LEAST, most))
    # A number that divides the batch, if one is near.
    images = next((m for m in range(most, most // 2, -1) if examples % m == 0), most)
    terms = max(TERMS, PART // max(1, channels))
    parts = max(2, -(-images * row * rows // terms))
    return images, -(-rows // parts)


def _rows(x: Array, first: int, count: int) -> tuple[Array, tuple[int, int]]:
    """So many rows from the first, those that x has; and how many it lacks before and after."""
    start, stop = (min(max(row, 0), x.shape[1]) for row in (first, first + count))
    before = min(max(-first, 0), count)
    return x[:, start:stop], (before, count - before - (stop - start))


def _filled(array: Array, images: int) -> Array:
    """Examples of zeros fill up the last blocks."""
    more = -len(array) % images
    return jnp.pad(array, ((0, more), *((0, 0),) * (array.ndim - 1))) if more else array


def _block_at(array: Array, images: int, i: Array) -> Array:
    """Examples from all over the batch: of one that lies on several devices, each adds its own.

    The array gets its blocks here, in the loop. Before it, whatever computes the array would be
    computed twice, once in this shape.
    """
    blocks = array.reshape(images, len(array) // images, *array.shape[1:])
    return lax.dynamic_index_in_dim(blocks, i, 1, keepdims=False)
