"""The kernel gradient of a dilated window without holes: phases of the dilation as images.

    dw[a, c, k] = Σ_{n,i} x[n, i + d·a − low, c] · dy[n, i, k]

With i = d·m + r the position is d·(m + a) + r − low: phase r of dy meets the same phase of x alone,
and there a moves by 1. So dw is the kernel gradient, without dilation, of d times as many images
that are d times as small. On a GPU cuDNN has fast code for it; of the plain form XLA makes a
forward convolution with a kernel as large as an image. Channels last.
"""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.contraction import plain
from jaxconv.geometry import ConvGeometry, Ints


class _Phases(NamedTuple):
    """The phases first, …, stop − 1 of one dimension, and how many positions each has."""

    first: int
    stop: int
    length: int


def has_phases(g: ConvGeometry) -> bool:
    """Whether a window has holes, and where it has them moves by 1."""
    pairs = zip(g.stride, g.dilation, strict=True)
    return max(g.dilation, default=1) > 1 and all(1 in pair for pair in pairs)


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array) -> Array:
    """dw, of a g that `has_phases`."""
    alike = (_alike(o, d) for o, d in zip(g.output, g.dilation, strict=True))
    return reduce(lax.add, (_share(g, x, dy, phases) for phases in itertools.product(*alike)))


def _alike(output: int, dilation: int) -> Iterable[_Phases]:
    """All phases of a dimension, together those that are equally long.

    To fill up the shorter ones with zeros would not do: 0 · ∞ is NaN.
    """
    count, longer = divmod(output, dilation)
    return (
        phases
        for phases in (_Phases(0, longer, count + 1), _Phases(longer, dilation, count))
        if phases.first < phases.stop and phases.length
    )


def _share(g: ConvGeometry, x: Array, dy: Array, phases: tuple[_Phases, ...]) -> Array:
    """What these phases add to dw."""
    counts = tuple(phase.length for phase in phases)
    seen = tuple(s * (m - 1) + k for s, m, k in zip(g.stride, counts, g.window, strict=True))
    without = replace(g, size=seen, dilation=(1,) * g.dims, padding=((0, 0),) * g.dims)
    lows = tuple(low for low, _ in g.padding)
    return plain.kernel_gradient(
        without, _images(g, x, lows, seen, phases), _images(g, dy, (0,) * g.dims, counts, phases)
    )


def _images(
    g: ConvGeometry, x: Array, lows: Ints, counts: Ints, phases: tuple[_Phases, ...]
) -> Array:
    """x[n, d·m + r − low] at [(n, r), m], for m < count."""
    n, *size, channels = x.shape
    edges = (
        (low, d * count - extent - low, 0)
        for low, d, count, extent in zip(lows, g.dilation, counts, size, strict=True)
    )
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *edges, (0, 0, 0)))
    pairs = itertools.chain.from_iterable(zip(counts, g.dilation, strict=True))
    x = x.reshape(n, *pairs, channels)
    for dim, phase in enumerate(phases):
        x = lax.slice_in_dim(x, phase.first, phase.stop, axis=2 * dim + 2)
    places, turns = range(1, 2 * g.dims, 2), range(2, 2 * g.dims + 1, 2)
    return x.transpose(0, *turns, *places, 2 * g.dims + 1).reshape(-1, *counts, channels)
