"""The plain form with everything e = 2 apart: the same sum, and other code to compute it.

    y[n, i, k] = Σ_{a,c} x↑[n, e·(s·i + d·a − low), c] · w[a, c, k],    x↑[n, e·p, c] = x[n, p, c]

Between the numbers of x↑ lie zeros, and the windows never see them. XLA's CPU backend hands
convolutions in two dimensions to a library (YNNPACK), but not those of an x that is spread: its own
code (Eigen) takes these, and steps over the zeros. Where the library is slow this is up to twice as
fast; where it is not, a spread x is a little slower than a plain one. It is enough to spread the
first dimension. Channels last.
"""

from dataclasses import replace
from typing import Any

import jax
from jax import Array

from jaxconv.contraction import plain
from jaxconv.geometry import ConvGeometry, Ints

APART = 2
# The library of this version is slow for all convolutions, that of others (0.10.0, 0.10.1, 0.11.0
# to 0.12.0 were measured) only for kernels as large as an image, which kernel gradients have. 3×3
# 64→64, 64×32×32, ms, plain / apart: y 37 / 21, on JAX 0.11.2 20 / 21; dw 138 / 40, there 79 / 44.
SLOW_LIBRARY = (0, 10, 2) <= jax.__version_info__ < (0, 11)
# Convolutions of no more channels, in and out, the library does not take; and of wider numbers, in
# bytes, there is no other code (float64: 127 ms for 9.8).
TOO_FEW = 16
WIDEST = 4


def correlate(g: ConvGeometry, x: Array, w: Array) -> Array:
    """y, of an x that is spread."""
    return plain.correlate(_apart(g, x.dtype), x, w)


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array) -> Array:
    """dw, of an x that is spread."""
    return plain.kernel_gradient(_apart(g, x.dtype), x, dy)


def distances(g: ConvGeometry, dtype: Any) -> Ints:
    """e in each dimension: 1 where the library is not asked, or there is no other code."""
    apart = g.dims == 2 and dtype.itemsize <= WIDEST
    return (APART if apart else 1, *(1,) * (g.dims - 1))


def _apart(g: ConvGeometry, dtype: Any) -> ConvGeometry:
    e = distances(g, dtype)
    return replace(
        g,
        size=tuple(max(0, n * (size - 1) + 1) for n, size in zip(e, g.size, strict=True)),
        stride=times(e, g.stride),
        dilation=times(e, g.dilation),
        padding=tuple((n * low, n * high) for n, (low, high) in zip(e, g.padding, strict=True)),
        spread=e,
    )


def times(e: Ints, numbers: Ints) -> Ints:
    """Dimension by dimension."""
    return tuple(n * number for n, number in zip(e, numbers, strict=True))
