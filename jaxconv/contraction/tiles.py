"""Windows that lie side by side: each is a row of a matrix. Channels last.

Windows that move by their own size share nothing, and x is laid out in them like tiles. With tile i
of x on one axis, x'[n, i, (a, c)] = x[n, s·i + a − low, c],

    y[n, i, k]        = Σ_{a,c} x'[n, i, (a, c)] · w[(a, c), k]
    dx'[n, i, (a, c)] = Σ_k dy[n, i, k] · w[(a, c), k]
    dw[(a, c), k]     = Σ_{n,i} x'[n, i, (a, c)] · dy[n, i, k]

are the contractions of a window of one element (`matrix.py`). So a vision transformer takes its
patches: Dosovitskiy et al., "An image is worth 16×16 words" (2021).
"""

import math
from dataclasses import replace

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.contraction import matrix
from jaxconv.contraction.depthwise import covered
from jaxconv.geometry import ConvGeometry


def are_tiles(g: ConvGeometry) -> bool:
    """Whether the windows lie side by side, and are more than one element."""
    several = math.prod(g.window) > 1 == math.prod(g.dilation)
    return several and g.stride == g.window and g.groups == 1


def correlate(g: ConvGeometry, x: Array, w: Array) -> Array:
    """y, of all tiles."""
    return matrix.correlate(_of_tiles(g), _tiles(g, x), _rows(g, w))


def input_gradient(g: ConvGeometry, w: Array, dy: Array) -> Array:
    """dx, put back from the tiles; what no window sees is 0."""
    rows = matrix.input_gradient(_of_tiles(g), _rows(g, w), dy)
    shape = (len(dy), *g.output, *g.window, w.shape[-2])
    order = [0]
    for axis in range(1, g.dims + 1):
        order += [axis, g.dims + axis]
    laid = rows.reshape(shape).transpose(*order, 2 * g.dims + 1)
    full = (o * s for o, s in zip(g.output, g.stride, strict=True))
    laid = laid.reshape(len(dy), *full, w.shape[-2])
    edges = ((-low, -high, 0) for low, high in g.covering)
    return lax.pad(laid, jnp.zeros((), laid.dtype), ((0, 0, 0), *edges, (0, 0, 0)))


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array) -> Array:
    """dw, over all tiles."""
    rows = matrix.kernel_gradient(_of_tiles(g), _tiles(g, x), dy)
    return rows.reshape(*g.window, x.shape[-1], dy.shape[-1])


def _of_tiles(g: ConvGeometry) -> ConvGeometry:
    """A window of one element at each tile."""
    one = (1,) * g.dims
    return replace(g, size=g.output, window=one, stride=one, padding=((0, 0),) * g.dims)


def _tiles(g: ConvGeometry, x: Array) -> Array:
    """x', its tiles in the order of their windows."""
    split = (n for pair in zip(g.output, g.window, strict=True) for n in pair)
    parts = covered(g, x).reshape(len(x), *split, x.shape[-1])
    places = range(1, 2 * g.dims + 1)
    rows = parts.transpose(0, *places[::2], *places[1::2], 2 * g.dims + 1)
    return rows.reshape(len(x), *g.output, math.prod(g.window) * x.shape[-1])


def _rows(g: ConvGeometry, w: Array) -> Array:
    """w as the kernel of a window of one element."""
    return w.reshape(*(1,) * g.dims, math.prod(g.window) * w.shape[-2], w.shape[-1])
