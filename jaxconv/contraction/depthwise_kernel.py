"""The depthwise kernel gradient: a sum for every element of the window. Channels last.

    dw[a, 0, c] = Σ_{n,i} x[n, s·i + d·a − low, c] · dy[n, i, c]

And that of groups of few channels, with the group γ in place of the channel (`interleaved.py`):

    dw'[a, c, k, γ] = Σ_{n,i} x'[n, s·i + d·a − low, c, γ] · dy'[n, i, k, γ]

A reduction that keeps only the channels is slow: it goes through memory once for each a, and its
partial sums do not fill a vector. Here whole rows are added, image by image, into one accumulator
of rows for each a, all of them in one loop; only those are reduced at the end.

The images of a turn are taken out of x and dy first, in a call (`memory.unfused`). Fused into
the sums, as what is cheap to take is, each number would be looked up where it is used: XLA's code
reads the loop's counter again for each of them and is not vectorized. 3×3, 32×7×7×512, ms: 2.0
fused, 0.8 taken first; 5×5, 16×14×14×256: 4.0 and 2.0.
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

from jaxconv.arguments import accumulator, aligned
from jaxconv.contraction.depthwise import covered, shifts
from jaxconv.contraction.interleaved import groups_last
from jaxconv.geometry import ConvGeometry, Ints
from jaxconv.memory import unfused

# A turn adds so many parts up in registers before anything is written, the more the longer to
# compile: MORE of them if the sums for four would leave the cache. 3×3, ms and to compile, four and
# eight parts: 64×16×16×128 1.96 and 160, 1.98 and 180; 8×56×56×96 3.5 and 270, 2.6 and 270.
PARTS, MORE_PARTS = 4, 8
# It takes two images if one has at least so many bytes, x and dy, which is where XLA shares a loop
# among threads, and that costs as much as the loop (3×3, 64×32×32×64: 6.5 ms, in pairs 5.2; 7×7,
# 32×14×14×384: 20.7, 13.7), but no more, for the cache (7×7, 8×56×56×96: 14.4, in pairs 22).
SHARED = 2**19
CACHED = 2**20
# A window of more elements is taken row by row or, in one dimension, so many elements at a time:
# each is a loop to compile. 51 of 8×4096×64, one by one 162 ms, eight at a time 16.
MANY_TAPS = 25
TAPS_IN_TURN = 8


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array) -> Array:
    """dw, for all of the window at once or for some of its rows after the other."""
    of_an_element = x.shape[-1] // g.groups, dy.shape[-1]
    if len(x) == 0:
        return jnp.zeros((*g.window, *of_an_element), accumulator(x.dtype))
    rows, *across = g.window
    if math.prod(g.window) <= MANY_TAPS:
        return _of_rows(g, x, dy, 0, rows).reshape(*g.window, *of_an_element)
    some = min(rows, max(1, TAPS_IN_TURN // math.prod(across)))
    # The last turn ends where the window does, and finds again what the one before it has found.
    firsts = np.minimum(np.arange(0, rows, some), rows - some)
    turns = lax.map(lambda first: _of_rows(g, x, dy, first, some), g.dilation[0] * firsts)
    turns = turns.reshape(len(firsts), some, *across, *of_an_element)
    again = some * len(firsts) - rows
    before = turns[:-1].reshape(-1, *across, *of_an_element)
    return jnp.concatenate([before, turns[-1, again:]])


def _of_rows(g: ConvGeometry, x: Array, dy: Array, first: Any, count: int) -> Array:
    """The sums for so many rows of the window; x has the first of them `first` rows further on."""
    total = accumulator(x.dtype)
    channels = dy.shape[-1]
    c_in, c_out = x.shape[-1] // g.groups, channels // g.groups
    # (c, k, γ). Of one channel to a group, x is repeated, and each of its channels is a group.
    pairs = (1, 1, channels) if c_in == 1 else (c_in, c_out, g.groups)
    taps = replace(g, window=(count, *g.window[1:]))
    span = g.stride[0] * (g.output[0] - 1) + taps.extent[0]
    _, _, *wide, _ = jax.eval_shape(partial(covered, g), x).shape
    numbers = channels * (span * math.prod(wide) + math.prod(g.output))
    images = _images(len(x), total.itemsize * numbers)
    a_row = total.itemsize * math.prod((*taps.window, *g.output[1:], *pairs))
    height = _height(g.output[0] * images, a_row)

    def take_x(x: Array, n: Array, first: Any) -> Array:
        # Here, and not before the loop: no padded copy of all of x is ever made.
        image = covered(g, lax.dynamic_slice_in_dim(x, n, images).astype(total))
        image = lax.dynamic_slice_in_dim(image, first, span, axis=1)
        image = jnp.repeat(image, c_out, axis=-1) if c_in == 1 else image
        return jnp.expand_dims(groups_last(image, pairs[2]), -2)

    def take_dy(dy: Array, n: Array) -> Array:
        some = lax.dynamic_slice_in_dim(dy, n, images).astype(total)
        return jnp.expand_dims(groups_last(some, pairs[2]), -3)

    def add(number: Array, sums: tuple[Array, ...]) -> tuple[Array, ...]:
        n = images * number
        seen, some = unfused(take_x, all_x, n, first), unfused(take_dy, all_dy, n)
        parts = [_parts(image, height) for image in some]
        return tuple(
            reduce(lax.add, _products(g, seen, parts, start, stop), so_far)
            for so_far, (_, start, stop) in zip(sums, shifts(taps, g.output), strict=True)
        )

    zeros = jnp.zeros((height, *g.output[1:], *pairs), total)
    all_x, all_dy, zeros = aligned(x, dy, zeros)
    sums = lax.fori_loop(0, len(x) // images, add, (zeros,) * math.prod(taps.window))
    return jnp.sum(jnp.stack(sums), axis=tuple(range(1, g.dims + 1))).swapaxes(-1, -2)


def _images(count: int, size: int) -> int:
    """How many of them, each of so many bytes, a turn takes."""
    return 2 if count % 2 == 0 and SHARED <= size <= CACHED else 1


def _height(rows: int, size: int) -> int:
    """How many rows a part has, of so many, each of which is so many bytes of sums."""
    parts = PARTS if rows * size <= PARTS * CACHED else MORE_PARTS
    return -(-rows // parts)


def _parts(dy: Array, height: int) -> list[Array]:
    """Its rows, so many in each."""
    tops = range(0, len(dy), height)
    return [lax.slice_in_dim(dy, top, min(top + height, len(dy))) for top in tops]


def _products(
    g: ConvGeometry, x: Array, dy: list[list[Array]], start: Ints, stop: Ints
) -> Iterator[Array]:
    """Each image of x from start to stop, times dy, of which each image is cut into parts."""
    for image, parts in zip(x, dy, strict=True):
        height, own = len(parts[0]), image.shape[g.dims :]
        for number, part in enumerate(parts):
            line = start[0] + g.stride[0] * height * number
            last = line + g.stride[0] * (len(part) - 1)
            seen = lax.slice(
                image,
                (line, *start[1:], *(0 for _ in own)),
                (last + 1, *stop[1:], *own),
                (*g.stride, *(1 for _ in own)),
            )
            shape = jnp.broadcast_shapes(seen.shape, part.shape)
            product = lax.mul(jnp.broadcast_to(seen, shape), jnp.broadcast_to(part, shape))
            # The product is filled up, not its factors: 0 · ∞ would be NaN.
            missing = height - len(part)
            edges = ((0, missing), *((0, 0),) * (product.ndim - 1))
            yield jnp.pad(product, edges) if missing else product
