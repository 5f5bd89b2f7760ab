"""Depthwise: channels that do not see each other are multiplied, not contracted.

With one input channel a group there is nothing to sum over channels, and a matrix product has
nothing to do. What is left are shifted multiply-adds, one for each element of the window, which
compile to a single loop over the output. Channels last.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.arguments import accumulator, aligned
from jaxconv.geometry import ConvGeometry, Ints

Phases = Callable[..., Array]
Sums = tuple[Array, ...]

# Into how many parts the rows of an image are cut and added up in registers before anything is
# written: fewer make the loop write more often, more make it longer to compile. Measured, ms and
# seconds to compile: 3×3, 8 parts 6.0 and 0.27, 16 parts 3.7 and 0.32; 7×7, 20 and 1.0, 24 and 1.4.
# Windows between these two were not measured.
_PARTS = 16
_PARTS_OF_MANY = 8
_MANY = 25


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
    most = _PARTS if math.prod(g.window) <= _MANY else _PARTS_OF_MANY
    height = -(-rows // most)

    def add_image(sums: Sums, image: tuple[Array, Array]) -> tuple[Sums, None]:
        x, dy = (array[None].astype(total) for array in image)
        # Here, and not before the loop: no padded copy of all of x is ever made.
        x = jnp.repeat(covered(g, x)[0], channels // g.groups, axis=-1)
        added = []
        for rest, (_, start, stop) in zip(sums, shifts(g, g.output), strict=True):
            for row in range(0, rows, height):
                some = min(height, rows - row)
                first = start[0] + row * g.stride[0]
                part = lax.slice(
                    x,
                    (first, *start[1:], 0),
                    (first + g.stride[0] * (some - 1) + 1, *stop[1:], channels),
                    (*g.stride, 1),
                )
                product = part * dy[0, row : row + some]
                # The product is filled up, not its factors: 0 · ∞ would be NaN.
                rest = rest + jnp.pad(product, ((0, height - some), *((0, 0),) * g.dims))
            added.append(rest)
        return tuple(added), None

    x, dy, zeros = aligned(x, dy, jnp.zeros((height, *others, channels), total))
    sums, _ = lax.scan(add_image, (zeros,) * math.prod(g.window), (x, dy))
    dw = jnp.stack([jnp.sum(rest, axis=tuple(range(g.dims))) for rest in sums])
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
