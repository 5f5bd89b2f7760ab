"""Windows of one element: a matrix product over the channels at every position. Channels last.

    y[n, i, k]           = Σ_c x[n, s·i − low, c] · w[c, k]
    dx[n, s·i − low, c]  = Σ_k dy[n, i, k] · w[c, k]
    dw[c, k]             = Σ_{n,i} x[n, s·i − low, c] · dy[n, i, k]

With a stride or a padding, the positions that windows see are picked first; dx is 0 at the others.

XLA's CPU backend computes a sum as long as that of dw in one product, which leaves half of a core
idle. The parts of a batched product are computed beside each other, and then added:

    dw[c, k] = Σ_q Σ_{(n,i) in part q} x[n, s·i − low, c] · dy[n, i, k]

The parts are made in a call that is not fused (`barriers.call_unfused`). Otherwise XLA, which
computes cheap values again wherever they are read, would compute x and dy twice: in parts for dw,
and whole for y and dx.
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import DType, Precisions, accumulator
from jaxconv._core.barriers import call_unfused
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction.form import Contraction, Form, Inner
from jaxconv.contraction.shifts import covered

# Multiply-adds below which the plain form is taken: 32→32, 14×14, one image, takes 0.015 ms in this
# form and 0.016 ms in the plain form.
LEAST_WORK = 2**17
# A sum is split into this many parts: 65,536 terms of 64→128 channels take 9.0 ms in one part and
# 7.6 ms in four.
PARTS = 4
# With fewer terms per channel, one part is faster: 6,272 terms of 128→512 take 4.6 ms in one part
# and 5.0 ms in four.
TERMS_A_CHANNEL = 32


def correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """Return y as x · w."""
    picked = _picked(spec, x)
    rows = picked.reshape(-1, x.shape[-1])
    y = _product(rows, w.reshape(w.shape[-2:]), 1, 0, inner.precision)
    return y.reshape(*picked.shape[:-1], w.shape[-1])


def input_gradient(spec: ConvSpec, w: Array, dy: Array, inner: Inner) -> Array:
    """Return dx as dy · wᵀ, at the positions that windows see."""
    rows = dy.reshape(-1, dy.shape[-1])
    product = _product(rows, w.reshape(w.shape[-2:]), 1, 1, inner.precision)
    seen = product.reshape(*dy.shape[:-1], w.shape[-2])
    edges = (
        (-low, -high, s - 1) for (low, high), s in zip(spec.covering, spec.stride, strict=True)
    )
    return lax.pad(seen, jnp.zeros((), seen.dtype), ((0, 0, 0), *edges, (0, 0, 0)))


def kernel_gradient(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    """Return dw as xᵀ · dy, over all examples and positions."""
    rows = _picked(spec, x).reshape(-1, x.shape[-1])
    outer = partial(_sum_of_outer, precision=inner.precision)
    dw = call_unfused(outer, rows, dy.reshape(-1, dy.shape[-1]))
    return dw.reshape(*spec.window, *dw.shape)


def _sum_of_outer(left: Array, right: Array, precision: Precisions) -> Array:
    """Return leftᵀ · right."""
    if left.shape[1] > right.shape[1]:
        # Parts are faster with the wider factor on the right: 128→64 takes 7.7 ms with it on the
        # right and 10.8 ms with it on the left.
        turned = precision[::-1] if isinstance(precision, tuple) else precision
        return _sum_of_outer(right, left, turned).T
    count = left.shape[0]
    whole = not isinstance(count, int) or count % PARTS or count < TERMS_A_CHANNEL * right.shape[1]
    if whole:
        return _product(left, right, 0, 0, precision)
    left, right = (rows.reshape(PARTS, count // PARTS, rows.shape[1]) for rows in (left, right))
    return jnp.sum(_product(left, right, 1, 1, precision, batched=1), axis=0)


def _picked(spec: ConvSpec, x: Array) -> Array:
    """Return x at the positions that windows see."""
    return covered(spec, x)[(slice(None), *(slice(None, None, s) for s in spec.stride))]


def _product(
    left: Array,
    right: Array,
    over: int,
    over_right: int,
    precision: Precisions,
    *,
    batched: int = 0,
) -> Array:
    """Return the product summed over these axes, for each index of the first `batched` axes."""
    batch = tuple(range(batched))
    return lax.dot_general(
        left,
        right,
        (((over,), (over_right,)), (batch, batch)),
        precision=precision,
        preferred_element_type=accumulator(left.dtype),
    )


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    one = spec.groups == spec.taps == 1
    return one and spec.multiply_adds(batch) >= LEAST_WORK


_RUNS: dict[Contraction, Callable[..., Array]] = {
    "correlate": correlate,
    "input_gradient": input_gradient,
    "kernel_gradient": kernel_gradient,
}
FORMS = tuple(
    Form(
        name="matrix product",
        contraction=contraction,
        platforms=("cpu",),
        when="windows have one element, and there are no groups",
        applies=_applies,
        run=run,
    )
    for contraction, run in _RUNS.items()
)
