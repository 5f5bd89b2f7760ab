"""Three spatial dimensions as two: the window's depth is folded into the channels.

    x₂[(n, i), p, (a, c)] = x[n, s·i + d·a − low, p, c]        i and a along the depth

turns the sum over a, b and c into one over b and (a, c), where b is the window element in the two
other dimensions. So y is a correlation in two dimensions of N·D images with K·C channels, and dw is
the kernel gradient of one. x is copied K times, which costs less than the plain form, because XLA
has no fast code for three dimensions. Channels last, no groups.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import DType
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction.form import Form, Inner

Flat = Callable[[ConvSpec, Array, Array], Array]

# Multiply-adds below which the plain form is taken: y of 4→4, 6×6×6, one image, takes 0.081 ms in
# this form and 0.262 ms in the plain form.
LEAST_WORK = 2**16


def correlate(spec: ConvSpec, x: Array, w: Array, flat: Flat) -> Array:
    """Return y, computed by the two-dimensional correlation `flat`."""
    depth, *window, c_in, c_out = w.shape
    folded = jnp.moveaxis(w, 0, -3).reshape(*window, depth * c_in, c_out)
    y = flat(spec.without_first(fold=depth), _folded(spec, x), folded)
    return y.reshape(x.shape[0], *spec.output, c_out)


def kernel_gradient(spec: ConvSpec, x: Array, dy: Array, flat: Flat) -> Array:
    """Return dw, computed by the two-dimensional kernel gradient `flat`."""
    depth, *window = spec.window
    images = dy.reshape(-1, *dy.shape[2:])
    folded = flat(spec.without_first(fold=depth), _folded(spec, x), images)
    dw = folded.reshape(*window, depth, spec.channels_in, spec.channels_out)
    return jnp.moveaxis(dw, -3, 0)


def _folded(spec: ConvSpec, x: Array) -> Array:
    zero = jnp.zeros((), x.dtype)
    x = lax.pad(x, zero, ((0, 0, 0), (*spec.covering[0], 0), *((0, 0, 0),) * spec.dims))
    s, d, o = spec.stride[0], spec.dilation[0], spec.output[0]
    taps = [
        lax.slice_in_dim(x, d * a, d * a + s * (o - 1) + 1, s, axis=1)
        for a in range(spec.window[0])
    ]
    stacked = jnp.concatenate(taps, axis=-1)
    return stacked.reshape(-1, *stacked.shape[2:])


def _correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    return correlate(spec, x, w, inner.correlate)


def _kernel_gradient(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    return kernel_gradient(spec, x, dy, inner.kernel_gradient)


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    solid = spec.dims == 3 and spec.groups == 1 and math.prod(spec.window) > 1
    return solid and spec.multiply_adds(batch) >= LEAST_WORK


FORMS = (
    Form(
        name="depth folded",
        contraction="correlate",
        platforms=("cpu",),
        when="three spatial dimensions, and no groups",
        applies=_applies,
        run=_correlate,
    ),
    Form(
        name="depth folded",
        contraction="kernel_gradient",
        platforms=("cpu",),
        when="three spatial dimensions, and no groups",
        applies=_applies,
        run=_kernel_gradient,
    ),
)
