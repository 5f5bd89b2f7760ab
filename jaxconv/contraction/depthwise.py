"""Depthwise: channels that do not see each other are multiplied, not contracted.

With one input channel a group there is nothing to sum over channels, and a matrix product has
nothing to do. What is left are shifted multiply-adds, one for each element of the window, which
compile to a single loop over the output. Channels last.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv.arguments import accumulator, aligned
from jaxconv.geometry import ConvGeometry, Ints

Phases = Callable[..., Array]
Sums = tuple[Array, ...]

# Into how many parts the rows of an image are cut and added up in registers before anything is
# written: fewer make the loop write more often, more make it longer to compile. A large window is
# taken row by row, which compiles one of its rows. Measured, ms and seconds to compile:
#   3×3 at once, 8 parts 6.0 and 0.22, 16 parts 4.7 and 0.25; row by row, 16 parts 6.0 and 0.2
#   7×7 at once, 8 parts 20 and 1.0; row by row, 16 parts 28 and 0.3, 32 parts 18 and 0.4
# Windows between these two were not measured.
_PARTS = 16
_PARTS_OF_ROWS = 32
_MANY_TAPS = 25


def correlate(g: ConvGeometry, x: Array, w: Array) -> Array:
    """y[n, i, c] = Σ_a x[n, s·i + d·a − low, c] · w[a, 0, c], one a after the other."""
    total = accumulator(x.dtype)
    image = covered(g, x).astype(total)
    image = jnp.repeat(image, w.shape[-1] // g.groups, axis=-1)
    terms = (
        lax.slice(image, (0, *start, 0), (len(x), *stop, image.shape[-1]), (1, *g.stride, 1))
        * w[(*a, 0)].astype(total)
        for a, start, stop in shifts(g, g.output)
    )
    return sum(terms, next(terms))


def input_gradient(g: ConvGeometry, w: Array, dy: Array, phases: Phases) -> Array:
    """dx[n, p, c] = Σ_k Σ_{i,a : s·i + d·a − low = p} dy[n, i, k] · w[a, 0, k], k in group c.

    Every output channel has its own way back, depthwise again; those of a group are then added.
    """
    channels = w.shape[-1]
    each = phases(replace(g, groups=channels), w, dy, correlate)
    if channels == g.groups:
        return each
    return jnp.sum(each.reshape(*each.shape[:-1], g.groups, channels // g.groups), axis=-1)


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array) -> Array:
    """dw[a, 0, c] = Σ_{n,i} x[n, s·i + d·a − low, c] · dy[n, i, c].

    A reduction that keeps only the channels is slow: it goes through memory once for each a, and
    its partial sums do not fill a vector. Here whole rows are added, image by image, into one
    accumulator of rows for each a, all of them in one loop; only those are reduced at the end.
    """
    total = accumulator(x.dtype)
    channels = dy.shape[-1]
    rows, *others = g.output
    by_row = math.prod(g.window) > _MANY_TAPS
    height = -(-rows // (_PARTS_OF_ROWS if by_row else _PARTS))
    taps = replace(g, window=(1, *g.window[1:])) if by_row else g
    span = g.stride[0] * (rows - 1) + taps.extent[0]

    def add_image(first: Any, sums: Sums, image: tuple[Array, Array]) -> tuple[Sums, None]:
        x, dy = (array.astype(total) for array in image)
        # Here, and not before the loop: no padded copy of all of x is ever made.
        x = jnp.repeat(covered(g, x[None])[0], channels // g.groups, axis=-1)
        seen = lax.dynamic_slice_in_dim(x, first, span)
        tops = range(0, rows, height)
        lines = [lax.slice_in_dim(dy, top, min(top + height, rows)) for top in tops]
        added = []
        for rest, (_, start, stop) in zip(sums, shifts(taps, g.output), strict=True):
            for top, some in zip(tops, lines, strict=True):
                line = start[0] + g.stride[0] * top
                part = lax.slice(
                    seen,
                    (line, *start[1:], 0),
                    (line + g.stride[0] * (len(some) - 1) + 1, *stop[1:], channels),
                    (*g.stride, 1),
                )
                product = part * some
                if len(some) < height:
                    # The product is filled up, not its factors: 0 · ∞ would be NaN.
                    missing = height - len(some)
                    product = jnp.pad(product, ((0, missing), *((0, 0),) * g.dims))
                rest = rest + product
            added.append(rest)
        return tuple(added), None

    def add_images(first: Any) -> Array:
        sums = (zeros,) * math.prod(taps.window)
        sums, _ = lax.scan(partial(add_image, first), sums, (x, dy))
        return jnp.sum(jnp.stack(sums), axis=tuple(range(1, g.dims + 1)))

    x, dy, zeros = aligned(x, dy, jnp.zeros((height, *others, channels), total))
    firsts = g.dilation[0] * np.arange(g.window[0])
    dw = lax.map(add_images, firsts) if by_row else add_images(0)
    return dw.reshape(*g.window, 1, channels)


def covered(g: ConvGeometry, x: Array) -> Array:
    """x with its zeros, from the first window's start to the last one's end."""
    edges = ((0, 0, 0), *((low, high, 0) for low, high in g.covering), (0, 0, 0))
    return lax.pad(x, jnp.zeros((), x.dtype), edges)


def shifts(g: ConvGeometry, output: Ints) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Every a of the window, and where the positions s·i + d·a of `output` start and stop."""
    for a in itertools.product(*map(range, g.window)):
        start = tuple(d * k for d, k in zip(g.dilation, a, strict=True))
        stop = tuple(
            first + s * (o - 1) + 1 for first, s, o in zip(start, g.stride, output, strict=True)
        )
        yield a, start, stop
