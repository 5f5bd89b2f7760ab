"""Three spatial dimensions as two: the depth taps of the window are folded into the channels.

    x₂[(n, i), p, (a, c)] = x[n, s·i + d·a − low, p, c]        i and a along the depth

turns the sum over a, b and c into one over b and (a, c): a correlation in the two other dimensions,
of N·D images with K·C channels, and its kernel gradient likewise. x is copied K times, which
costs less than a form that no fast code exists for.
Channels last, no groups.
"""

from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.geometry import ConvGeometry

Contraction = Callable[[ConvGeometry, Array, Array], Array]


def correlate(g: ConvGeometry, x: Array, w: Array, flat: Contraction) -> Array:
    """y, by the two-dimensional correlation `flat`."""
    depth, *window, c_in, c_out = w.shape
    folded = jnp.moveaxis(w, 0, -3).reshape(*window, depth * c_in, c_out)
    y = flat(_flat(g), _folded(g, x), folded)
    return y.reshape(len(x), g.output[0], *y.shape[1:])


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array, flat: Contraction) -> Array:
    """dw, by the two-dimensional kernel gradient `flat`."""
    folded = flat(_flat(g), _folded(g, x), dy.reshape(-1, *dy.shape[2:]))
    *window, _, c_out = folded.shape
    dw = folded.reshape(*window, g.window[0], x.shape[-1], c_out)
    return jnp.moveaxis(dw, -3, 0)


def _flat(g: ConvGeometry) -> ConvGeometry:
    """The geometry of the dimensions that are left."""
    return replace(
        g, size=g.size[1:], window=g.window[1:], stride=g.stride[1:], dilation=g.dilation[1:],
        padding=g.padding[1:],
    )  # fmt: skip


def _folded(g: ConvGeometry, x: Array) -> Array:
    zero = jnp.zeros((), x.dtype)
    x = lax.pad(x, zero, ((0, 0, 0), (*g.covering[0], 0), *((0, 0, 0),) * g.dims))
    s, d, o = g.stride[0], g.dilation[0], g.output[0]
    taps = [
        lax.slice_in_dim(x, d * a, d * a + s * (o - 1) + 1, s, axis=1) for a in range(g.window[0])
    ]
    stacked = jnp.concatenate(taps, axis=-1)
    return stacked.reshape(-1, *stacked.shape[2:])
