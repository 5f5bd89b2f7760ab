"""Windows of one element: a matrix product over the channels at every position. Channels last.

    y[n, i, k] = Σ_c x[n, s·i − low, c] · w[c, k]
    dw[c, k]   = Σ_{n,i} x[n, s·i − low, c] · dy[n, i, k]

With a stride or a padding, the positions are picked first.
"""

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.arguments import accumulator
from jaxconv.geometry import ConvGeometry


def correlate(g: ConvGeometry, x: Array, w: Array) -> Array:
    """y as x · w."""
    picked = _picked(g, x)
    y = _product(g, picked.reshape(-1, x.shape[-1]), w.reshape(w.shape[-2:]), 1)
    return y.reshape(*picked.shape[:-1], w.shape[-1])


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array) -> Array:
    """dw as xᵀ · dy, over all examples and positions."""
    rows = _picked(g, x).reshape(-1, x.shape[-1])
    dw = _product(g, rows, dy.reshape(-1, dy.shape[-1]), 0)
    return dw.reshape(*g.window, *dw.shape)


def _picked(g: ConvGeometry, x: Array) -> Array:
    """x at the positions that windows see."""
    edges = ((0, 0, 0), *((low, high, 0) for low, high in g.covering), (0, 0, 0))
    x = lax.pad(x, jnp.zeros((), x.dtype), edges)
    return x[(slice(None), *(slice(None, None, s) for s in g.stride))]


def _product(g: ConvGeometry, left: Array, right: Array, over: int) -> Array:
    return lax.dot_general(
        left,
        right,
        (((over,), (0,)), ((), ())),
        precision=g.precision,
        preferred_element_type=accumulator(left.dtype),
    )
