"""The input gradient without zeros in between: one correlation for each phase of the stride.

The plain form spreads dy s apart and multiplies the zeros too. But position p = s·m + r of dx,
with the phase r fixed, meets only those a with r + low − d·a divisible by s. With
t = s / gcd(s, d) they are a₀ + t·j, and the i they meet, (p + low − d·a) / s, is m + b − e·j with
b = (r + low − d·a₀) / s and e = d / gcd(s, d): m moves by 1, so that every phase is a plain
correlation of stride 1 and dilation e with a part of the kernel. Channels last.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jaxconv.contraction.plain import rot180, swap_channels
from jaxconv.geometry import ConvGeometry

Correlate = Callable[[ConvGeometry, Array, Array], Array]


class _Phase(NamedTuple):
    """One phase of one dimension: its taps a, their distance in dy, and what to pad dy with."""

    taps: range
    dilation: int
    padding: tuple[int, int]


def input_gradient(g: ConvGeometry, w: Array, dy: Array, correlate: Correlate) -> Array:
    """dx, its phases computed by `correlate` and put in turn."""
    backwards = rot180(g, swap_channels(g, w))
    counts = tuple(-(-n // s) for n, s in zip(g.size, g.stride, strict=True))
    channels = backwards.shape[-1]
    found: list[Array | None] = []
    for phases in itertools.product(*(_phases(g, axis, m) for axis, m in enumerate(counts))):
        if all(phase.taps for phase in phases):
            kernel = backwards[
                tuple(_reversed(p.taps, k) for p, k in zip(phases, g.window, strict=True))
            ]
            part = replace(
                g,
                size=g.output,
                window=tuple(len(phase.taps) for phase in phases),
                stride=(1,) * g.dims,
                dilation=tuple(phase.dilation for phase in phases),
                padding=tuple(phase.padding for phase in phases),
            )
            found.append(correlate(part, dy, kernel))
        else:
            found.append(None)
    one = next(part for part in found if part is not None)
    parts = [jnp.zeros_like(one) if part is None else part for part in found]
    if len(parts) == 1:
        return parts[0]
    # (s, s, n, m, m, c) -> (n, m, s, m, s, c)
    turns = jnp.stack(parts).reshape(*g.stride, *one.shape)
    order = [g.dims]
    for axis in range(g.dims):
        order += [g.dims + 1 + axis, axis]
    turns = turns.transpose(*order, 2 * g.dims + 1)
    full = tuple(m * s for m, s in zip(counts, g.stride, strict=True))
    dx = turns.reshape(len(dy), *full, channels)
    return dx[(slice(None), *(slice(n) for n in g.size))]


def _phases(g: ConvGeometry, axis: int, count: int) -> list[_Phase]:
    """The phases 0, 1, …, s − 1 of this dimension, each `count` positions long."""
    k, s, d, o = g.window[axis], g.stride[axis], g.dilation[axis], g.output[axis]
    low = g.padding[axis][0]
    common = math.gcd(s, d)
    found = []
    for r in range(s):
        first = next((a for a in range(min(k, s)) if (r + low - d * a) % s == 0), k)
        taps = range(first, k, s // common)
        e = d // common
        before = e * (len(taps) - 1) - (r + low - d * first) // s
        found.append(_Phase(taps, e, (before, count + e * (len(taps) - 1) - o - before)))
    return found


def _reversed(taps: range, window: int) -> slice:
    """Where these taps lie in the kernel read backwards."""
    return slice(window - 1 - taps[-1], window - taps[0], taps.step)
