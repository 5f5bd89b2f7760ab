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
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.conv_spec import ConvSpec
from jaxconv.arguments import accumulator
from jaxconv.contraction.form import Form, Inner
from jaxconv.windows import offsets, view_of_x

# Multiply-adds below which the plain form is taken: 3×3 64→3, 14×14, one image, takes 0.020 ms and
# in the plain form 0.023 ms.
LEAST_WORK = 2**17
# To so many channels at most: 3×3, 32×32×32, 64→4 takes 2.9 ms, and in the plain form 5.2 ms.
FEW_CHANNELS = 4
# Of so many elements of the window at most: 7×7 64→3 takes 21 ms, and in the plain form 16 ms.
MOST_TAPS = 25


def correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """y, all products first."""
    total = accumulator(x.dtype)
    c_in, c_out = w.shape[-2:]
    rows = jnp.swapaxes(w, -2, -1).reshape(-1, c_in)
    # The factors of the product are the other way round.
    precision = inner.precision[::-1] if isinstance(inner.precision, tuple) else inner.precision
    products = lax.dot_general(
        rows, x.reshape(-1, c_in), (((1,), (1,)), ((), ())), precision=precision,
        preferred_element_type=total,
    )  # fmt: skip
    z = products.reshape(math.prod(spec.window), c_out, *x.shape[:-1])
    # Of its axes k is where images have the batch, and n where channels are that come first.
    first = replace(spec.windows(), layout="channels_first")
    nothing = jnp.zeros((), total)
    seen = (view_of_x(first, a, part, nothing) for a, part in zip(offsets(first), z, strict=True))
    return jnp.moveaxis(reduce(lax.add, seen), 0, -1)


def _applies(spec: ConvSpec, batch: int, dtype: Any) -> bool:
    few = spec.channels_out <= FEW_CHANNELS and spec.taps <= MOST_TAPS
    # With a stride most of the products are not asked for.
    dense = spec.groups == 1 == math.prod(spec.stride)
    return few and dense and spec.multiply_adds(batch) >= LEAST_WORK


FORMS = (
    Form(
        name="inner products",
        contraction="correlate",
        platforms=("cpu",),
        when=f"at most {FEW_CHANNELS} output channels and {MOST_TAPS} elements, without a stride",
        applies=_applies,
        run=correlate,
    ),
)
