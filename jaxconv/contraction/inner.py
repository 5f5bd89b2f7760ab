"""Few output channels: y as a sum of shifted inner products. Channels last, no groups.

    z[a, k, n, p] = Σ_c x[n, p, c] · w[a, c, k]        y[n, i, k] = Σ_a z[a, k, n, s·i + d·a − low]

A matrix product that sums over a and c has hardly a column, and copies each x for every a it meets.
The sum over c alone is a product with a row for each a and k, for which nothing is copied, and the
sum over a is additions, all in one loop over the output. Where a window sees padding nothing is
added, so w is not multiplied with zeros there.
"""

import math
from dataclasses import replace
from functools import reduce

import jax.numpy as jnp
from jax import Array, lax

from jaxconv.arguments import accumulator
from jaxconv.geometry import ConvGeometry
from jaxconv.windows import offsets, view_of_x


def correlate(g: ConvGeometry, x: Array, w: Array) -> Array:
    """y, all products first."""
    total = accumulator(x.dtype)
    c_in, c_out = w.shape[-2:]
    rows = jnp.swapaxes(w, -2, -1).reshape(-1, c_in)
    # Its factors are the other way round.
    precision = g.precision[::-1] if isinstance(g.precision, tuple) else g.precision
    products = lax.dot_general(
        rows, x.reshape(-1, c_in), (((1,), (1,)), ((), ())), precision=precision,
        preferred_element_type=total,
    )  # fmt: skip
    z = products.reshape(math.prod(g.window), c_out, *x.shape[:-1])
    # Of its axes k is where images have the batch, and n where channels are that come first.
    first = replace(g, layout="channels_first")
    nothing = jnp.zeros((), total)
    seen = (view_of_x(first, a, part, nothing) for a, part in zip(offsets(g), z, strict=True))
    return jnp.moveaxis(reduce(lax.add, seen), 0, -1)
