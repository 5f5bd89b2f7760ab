"""Windows of one element: a matrix product over the channels at every position. Channels last.

    y[n, i, k]           = Σ_c x[n, s·i − low, c] · w[c, k]
    dx[n, s·i − low, c]  = Σ_k dy[n, i, k] · w[c, k]
    dw[c, k]             = Σ_{n,i} x[n, s·i − low, c] · dy[n, i, k]

With a stride or a padding, the positions are picked first; the others have dx = 0.

XLA's CPU backend has one product for a sum as long as that of dw, and leaves half of a core idle.
The parts of a batched one are computed beside each other, and then added:

    dw[c, k] = Σ_q Σ_{(n,i) in part q} x[n, s·i − low, c] · dy[n, i, k]

They are made in a call of their own (`memory.unfused`). Else XLA, which computes what is cheap
where it is read, would compute x and dy twice: for dw in parts, and as they are for y and dx.
"""

from dataclasses import replace
from functools import partial

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.arguments import accumulator
from jaxconv.geometry import ConvGeometry
from jaxconv.memory import unfused

# Measured, ms, in one part / in four: 65,536 terms of 64→128 channels 9.0 / 7.6, 128→64 12.1 / 7.7;
# 50,176 of 256→64 17.9 / 10.3; 16,384 of 512→128 13.5 / 11.2, of 64→128 2.1 / 1.9. With fewer terms
# for a channel it loses: 6,272 of 128→512 4.6 / 5.0, 4,096 of 256→256 3.4 / 4.0.
PARTS = 4
TERMS_A_CHANNEL = 32


def correlate(g: ConvGeometry, x: Array, w: Array) -> Array:
    """y as x · w."""
    picked = _picked(g, x)
    y = _product(g, picked.reshape(-1, x.shape[-1]), w.reshape(w.shape[-2:]), 1, 0)
    return y.reshape(*picked.shape[:-1], w.shape[-1])


def input_gradient(g: ConvGeometry, w: Array, dy: Array) -> Array:
    """dx as dy · wᵀ, at the positions that windows see."""
    rows = _product(g, dy.reshape(-1, dy.shape[-1]), w.reshape(w.shape[-2:]), 1, 1)
    seen = rows.reshape(*dy.shape[:-1], w.shape[-2])
    edges = ((-low, -high, s - 1) for (low, high), s in zip(g.covering, g.stride, strict=True))
    return lax.pad(seen, jnp.zeros((), seen.dtype), ((0, 0, 0), *edges, (0, 0, 0)))


def kernel_gradient(g: ConvGeometry, x: Array, dy: Array) -> Array:
    """dw as xᵀ · dy, over all examples and positions."""
    rows = _picked(g, x).reshape(-1, x.shape[-1])
    dw = unfused(partial(_sum_of_outer, g), rows, dy.reshape(-1, dy.shape[-1]))
    return dw.reshape(*g.window, *dw.shape)


def _sum_of_outer(g: ConvGeometry, left: Array, right: Array) -> Array:
    """leftᵀ · right."""
    if left.shape[1] > right.shape[1]:
        # Parts are faster with the wider one on the right: 128→64 10.8 and, so, 7.7.
        pair = isinstance(g.precision, tuple)
        turned = replace(g, precision=g.precision[::-1]) if pair else g
        return _sum_of_outer(turned, right, left).T
    if len(left) % PARTS or len(left) < TERMS_A_CHANNEL * right.shape[1]:
        return _product(g, left, right, 0, 0)
    left, right = (rows.reshape(PARTS, len(rows) // PARTS, rows.shape[1]) for rows in (left, right))
    return jnp.sum(_product(g, left, right, 1, 1, 1), axis=0)


def _picked(g: ConvGeometry, x: Array) -> Array:
    """x at the positions that windows see."""
    edges = ((0, 0, 0), *((low, high, 0) for low, high in g.covering), (0, 0, 0))
    x = lax.pad(x, jnp.zeros((), x.dtype), edges)
    return x[(slice(None), *(slice(None, None, s) for s in g.stride))]


def _product(
    g: ConvGeometry, left: Array, right: Array, over: int, over_right: int, batched: int = 0
) -> Array:
    """The sum over these axes of `left` and `right`, for each of their first `batched` axes."""
    batch = tuple(range(batched))
    return lax.dot_general(
        left,
        right,
        (((over,), (over_right,)), (batch, batch)),
        precision=g.precision,
        preferred_element_type=accumulator(left.dtype),
    )
