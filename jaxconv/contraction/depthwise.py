"""Depthwise: channels that do not see each other are multiplied, not contracted.

With one input channel a group there is nothing to sum over channels, and a matrix product has
nothing to do. What is left are shifted multiply-adds, one for each element of the window, which
compile to a single loop over the output. Channels last.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import reduce
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv.arguments import accumulator, aligned
from jaxconv.geometry import ConvGeometry, Ints
from jaxconv.memory import padded, unfused
from jaxconv.windows import add_back, turns

Phases = Callable[..., Array]

# y of a window of more than these is added up in turns of rows with about so many taps: 13×13,
# 8×32×32×64, at once 83 ms, in turns of 13, 26, 39 and 52 19, 4.6, 4.3 and 4.2; 21×21,
# 4×56×56×64, of 21, 42 and 63 13.6, 13.0 and 15.2.
_MOST_TAPS = 49
_TAPS = 42


def correlate(g: ConvGeometry, x: Array, w: Array) -> Array:
    """y[n, i, c] = Σ_a x[n, s·i + d·a − low, c] · w[a, 0, c], one a after the other."""
    return _correlate(g, _copied(g, x), w)


def _correlate(g: ConvGeometry, x: Array, w: Array) -> Array:
    """y of an x that has its zeros."""
    total = accumulator(x.dtype)
    image = jnp.repeat(x.astype(total), w.shape[-1] // g.groups, axis=-1)
    rows, *others = g.window
    some = rows if math.prod(g.window) <= _MOST_TAPS else max(1, _TAPS // math.prod(others))

    def part(first: Any, w: Array) -> Array:
        """What these rows of the window add to y; `first` is where the first of them begins."""
        taps = replace(g, window=(len(w), *others))
        span = g.stride[0] * (g.output[0] - 1) + taps.extent[0]
        seen = lax.dynamic_slice_in_dim(image, first, span, axis=1)
        channels = seen.shape[-1]
        elements = lax.split(w.astype(total).reshape(-1, channels), (1,) * math.prod(taps.window))
        terms = (
            lax.mul(
                lax.slice(seen, (0, *start, 0), (len(x), *stop, channels), (1, *g.stride, 1)),
                lax.broadcast(lax.squeeze(element, (0,)), (len(x), *g.output)),
            )
            for (_, start, stop), element in zip(shifts(taps, g.output), elements, strict=True)
        )
        return reduce(lax.add, terms)

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
    members = w.shape[-1] // g.groups
    # Not one way back for all channels and a sum over members: 62 ms for 6 (3×3, 32×28×28×64, two).
    ways = (
        _one_way_back(g, w[..., member::members], dy[..., member::members], phases)
        for member in range(members)
    )
    return reduce(lax.add, ways)


def _one_way_back(g: ConvGeometry, w: Array, dy: Array, phases: Phases) -> Array:
    """dx of one output channel a group."""
    if max(g.stride) > 1 == max(g.dilation) and math.prod(turns(g)) <= _MOST_TAPS:
        return _strided_input_gradient(g, w, dy)
    # The phases of a stride need no copy each: 3×3, stride 2, 32×16×16×64, 0.58 ms for 1.0.
    pad = _copied if max(g.stride) == 1 else covered
    return phases(g, w, dy, lambda phase, dy, w: _correlate(phase, pad(phase, dy), w))


def _strided_input_gradient(g: ConvGeometry, w: Array, dy: Array) -> Array:
    """dx[s·m + r − low] = Σ_j dy[m − j] · w[s·j + r], with r on axes of its own.

    The phases of the stride, r by r, would have to be put in turn, and what comes next is fused
    with that: alone both take as long, but the MobileNet-like step 255 ms and, so, 233.
    """
    total = accumulator(dy.dtype)
    count = math.prod(g.window)
    channels = w.shape[-1]

    def in_turns(w: Array) -> Array:
        """Taps s·j + r at [j, …, r, …], with zeros where the window ends before the turn."""
        ends = [(0, t * s - k) for t, s, k in zip(turns(g), g.stride, g.window, strict=True)]
        taps = jnp.pad(w.astype(total).reshape(*g.window, channels), (*ends, (0, 0)))
        pairs = itertools.chain.from_iterable(zip(turns(g), g.stride, strict=True))
        taps = taps.reshape(*pairs, channels)
        return taps.transpose(*range(0, 2 * g.dims, 2), *range(1, 2 * g.dims, 2), 2 * g.dims)

    # Fused, they would be looked up for each number: 7×7, 16×56×56×96, 24 ms for 5.
    taps = unfused(in_turns, w)

    def times_tap(a: np.ndarray, dy: Array) -> Array:
        first = np.unravel_index(a.flat[0], g.window)
        j = tuple(int(i) // s for i, s in zip(first, g.stride, strict=True))
        product = dy * taps[j].reshape(*a.shape[:-1], channels)
        # Not by the zeros among them: 0 · ∞ is NaN.
        return product if (a < count).all() else jnp.where(a < count, product, 0)

    return add_back(g, times_tap, dy.astype(total))


def covered(g: ConvGeometry, x: Array) -> Array:
    """x with its zeros, from the first window's start to the last one's end."""
    edges = ((0, 0, 0), *((low, high, 0) for low, high in g.covering), (0, 0, 0))
    return lax.pad(x, jnp.zeros((), x.dtype), edges)


def _copied(g: ConvGeometry, x: Array) -> Array:
    """The same as an array of its own, where that is faster."""
    return padded(x, ((0, 0), *g.covering, (0, 0)))


def shifts(g: ConvGeometry, output: Ints) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Every a of the window, and where the positions s·i + d·a of `output` start and stop."""
    for a in itertools.product(*map(range, g.window)):
        start = tuple(d * k for d, k in zip(g.dilation, a, strict=True))
        stop = tuple(
            first + s * (o - 1) + 1 for first, s, o in zip(start, g.stride, output, strict=True)
        )
        yield a, start, stop
