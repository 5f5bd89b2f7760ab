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

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.arguments import accumulator, aligned
from jaxconv.contraction.apart import TOO_FEW, distances, times
from jaxconv.geometry import ConvGeometry

# Measured on two dozen shapes (docs/benchmarks.md), 3×3, ms. A block holds so many images (64→64,
# 64×32×32: 8 at a time 34, 16 at a time 29, 32 at a time 33), or more, up to a row of so many
# numbers of one channel (32→32, 64×16×16: 16 at a time 2.7, 32 at a time 2.4; the second row is for
# MANY channels), but no more than so many numbers in all, as long as it holds LEAST. Two blocks are
# better than one (64→64, 64×8×8: 1.9 for 2.3), one of LEAST is better than smaller ones.
IMAGES = 16
ROW, ROW_OF_MANY, MANY = 512, 256, 64
NUMBERS = 2**20
LEAST = 8
# A block is taken in two parts or more (16 channels in one: 4.9 for 3.9), and a part has at most so
# many positions that dy sees: 16→32, stride 2, 64×32×32 half as many 2.0 for 1.8; of MANY channels
# fewer, 64→64 twice as many 35.6 for 32.8 (half the time to compile, though); stride 2, 64→128, its
# positions counted as if it had none, 15.7 for 13.4.
TERMS, TERMS_OF_MANY = 2**14, 2**11


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array) -> Array:
    """dw, block after block."""
    images, height = _block(g, len(x), x.shape[-1])
    library = images >= LEAST and max(images, dy.shape[-1]) > TOO_FEW
    e = distances(g, x.dtype) if library else (1,) * g.dims
    total = accumulator(x.dtype)
    exchange = (g.dims + 1, *range(1, g.dims + 1), 0)
    examples_last = (*range(1, g.dims + 1), 0, g.dims + 1)
    channels_last = (0, g.dims + 1, *range(1, g.dims + 1))
    correlate = partial(
        lax.conv_general_dilated,
        window_strides=times(e, g.dilation),
        lhs_dilation=e,
        rhs_dilation=times(e, g.stride),
        padding=((0, 0),) * g.dims,
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
            # Here, and not before the loop: no padded copy of all of x is ever made.
            edges = ((low, high, 0) for low, high in (outside, *g.covering[1:]))
            seen = lax.pad(seen, nothing, ((0, 0, 0), *edges, (0, 0, 0)))
            dw = dw + correlate(seen.transpose(exchange), some.transpose(examples_last))
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
    most = IMAGES
    if others:
        most = max(most, (ROW if channels < MANY else ROW_OF_MANY) // row)
        most = max(LEAST, min(most, NUMBERS // image))
    most = max(1, min(most, examples, max(LEAST, examples // 2)))
    # A number that divides the batch, if one is near.
    near = (*range(most, max(LEAST - 1, most // 2), -1), *range(most + 1, 2 * most))
    images = next((m for m in near if examples % m == 0), most)
    seen = images * row * rows * math.prod(g.stride)
    parts = max(2, -(-seen // (TERMS if channels < MANY else TERMS_OF_MANY)))
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
