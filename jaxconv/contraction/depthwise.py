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
# taken in turns, row by row or, in one dimension, some taps at a time, and one turn is compiled.
# Measured, ms and seconds to compile:
#   3×3 at once, 8 parts 6.0 and 0.22, 16 parts 4.7 and 0.25; in turns, 16 parts 6.0 and 0.2
#   7×7 at once, 8 parts 20 and 1.0; in turns, 16 parts 28 and 0.3, 32 parts 18 and 0.4
#   51, 8×4096×64, tap by tap 162 and 0.4, 8 taps at a time 50 and 1.2
# Windows between 3×3 and 7×7 were not measured.
_PARTS = 16
_PARTS_IN_TURN = 32
_TAPS_IN_TURN = 8
_MANY_TAPS = 25
# y of a window of more than these is added up in turns of rows with about so many taps: 13×13,
# 8×32×32×64, at once 83 ms, in turns of 13, 26, 39 and 52 19, 4.6, 4.3 and 4.2; 21×21,
# 4×56×56×64, of 21, 42 and 63 13.6, 13.0 and 15.2.
_MOST_TAPS = 49
_TAPS = 42


def correlate(g: ConvGeometry, x: Array, w: Array) -> Array:
    """y[n, i, c] = Σ_a x[n, s·i + d·a − low, c] · w[a, 0, c], one a after the other."""
    total = accumulator(x.dtype)
    image = jnp.repeat(covered(g, x).astype(total), w.shape[-1] // g.groups, axis=-1)
    rows, *others = g.window
    some = rows if math.prod(g.window) <= _MOST_TAPS else max(1, _TAPS // math.prod(others))

    def part(first: Any, w: Array) -> Array:
        """What these rows of the window add to y; `first` is where the first of them begins."""
        taps = replace(g, window=(len(w), *others))
        span = g.stride[0] * (g.output[0] - 1) + taps.extent[0]
        seen = lax.dynamic_slice_in_dim(image, first, span, axis=1)
        terms = (
            lax.slice(seen, (0, *start, 0), (len(x), *stop, seen.shape[-1]), (1, *g.stride, 1))
            * w[(*a, 0)].astype(total)
            for a, start, stop in shifts(taps, g.output)
        )
        return sum(terms, next(terms))

    if some >= rows:
        return part(0, w)
    zeros = jnp.zeros((len(x), *g.output, w.shape[-1]), total)
    image, w, zeros = aligned(image, w, zeros)
    turns, left = divmod(rows, some)
    firsts = g.dilation[0] * some * np.arange(turns + 1)
    in_turn = w[: some * turns].reshape(turns, some, *w.shape[1:])
    y, _ = lax.scan(lambda y, row: (y + part(*row), None), zeros, (firsts[:-1], in_turn))
    return y + part(firsts[-1], w[-left:]) if left else y


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
    in_turn = math.prod(g.window) > _MANY_TAPS
    height = -(-rows // (_PARTS_IN_TURN if in_turn else _PARTS))
    each, *across = g.window
    if in_turn:
        each = min(each, max(1, _TAPS_IN_TURN // math.prod(across)))
    taps = replace(g, window=(each, *across))
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
    if not in_turn:
        return add_images(0).reshape(*g.window, 1, channels)
    # The last turn ends where the window does, and finds again what the one before it has found.
    starts = np.minimum(np.arange(0, g.window[0], each), g.window[0] - each)
    turns = lax.map(add_images, g.dilation[0] * starts)
    turns = turns.reshape(len(starts), each, *across, 1, channels)
    again = each * len(starts) - g.window[0]
    before = turns[:-1].reshape(-1, *across, 1, channels)
    return jnp.concatenate([before, turns[-1, again:]])


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
