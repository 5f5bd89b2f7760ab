"""A window of K×1×1 elements, which extends along the depth alone. Channels last.

    y[n, i, q, k]  = Σ_{a,c} x[n, s·i + d·a − low, q, c] · w[a, c, k]
    dw[a, c, k]    = Σ_{n,i,q} x[n, s·i + d·a − low, q, c] · dy[n, i, q, k]

With all positions q of a plane on one axis, y is a correlation in two dimensions, for which nothing
is copied. For each a, dw[a] is the kernel gradient of a window of one element (`matrix.py`), over
those planes of x and dy that meet at a. Networks that split a window into one within each plane and
one along the depth have such layers: Tran et al., "A closer look at spatiotemporal convolutions"
(2018).
"""

import math
from dataclasses import replace

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import DType, accumulator
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction.form import Form, Inner

# Multiply-adds below which the plain form is taken. Above, y of 3×1×1 144→64, 8×56×56, takes 4.9 ms
# in this form and 18 ms in the plain form.
LEAST_WORK = 2**17


def correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """Return y, with the positions of each plane on a line."""
    depth, *plane = spec.size
    flat = replace(
        spec,
        size=(depth, math.prod(plane)),
        window=(spec.window[0], 1),
        stride=(spec.stride[0], 1),
        dilation=(spec.dilation[0], 1),
        input_dilation=(1, 1),
        padding=(spec.padding[0], (0, 0)),
    )
    lines = x.reshape(x.shape[0], *flat.size, x.shape[-1])
    y = inner.correlate(flat, lines, w.reshape(flat.kernel_shape))
    return y.reshape(x.shape[0], *spec.output, spec.channels_out)


def kernel_gradient(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    """Return dw, one element of the window after the other."""
    taps = [_of_one(spec, a, x, dy, inner) for a in range(spec.window[0])]
    return jnp.stack(taps).reshape(spec.kernel_shape)


def _of_one(spec: ConvSpec, a: int, x: Array, dy: Array, inner: Inner) -> Array:
    """Return dw[a], summed over those i at which element a of the window lies within x."""
    s, first = spec.stride[0], spec.dilation[0] * a - spec.padding[0][0]
    start = max(0, -(first // s))
    stop = min(spec.output[0], (spec.size[0] - 1 - first) // s + 1)
    if start >= stop:
        return jnp.zeros((spec.channels_in, spec.channels_out), accumulator(x.dtype))
    at = s * start + first
    seen = lax.slice_in_dim(x, at, at + s * (stop - start - 1) + 1, s, axis=1)
    of_one = replace(
        spec,
        size=(stop - start, *spec.size[1:]),
        window=(1, 1, 1),
        stride=(1, 1, 1),
        dilation=(1, 1, 1),
        padding=((0, 0),) * 3,
    )
    return inner.kernel_gradient(of_one, seen, dy[:, start:stop]).reshape(-1, dy.shape[-1])


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    if spec.dims != 3 or spec.groups > 1 or spec.taps == 1:
        return False
    planes = spec.window[1:] == spec.stride[1:] == (1, 1) and set(spec.padding[1:]) == {(0, 0)}
    return planes and spec.multiply_adds(batch) >= LEAST_WORK


FORMS = (
    Form(
        name="depth alone",
        contraction="correlate",
        platforms=("cpu",),
        when="a window along the first of three dimensions alone, without groups",
        applies=_applies,
        run=correlate,
    ),
    Form(
        name="depth alone",
        contraction="kernel_gradient",
        platforms=("cpu",),
        when="a window along the first of three dimensions alone, without groups",
        applies=_applies,
        run=kernel_gradient,
    ),
)
