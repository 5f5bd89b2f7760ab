"""The plain form with everything e = 2 apart: the same sum, and other code to compute it.

    y[n, i, k] = Σ_{a,c} x↑[n, e·(s·i + d·a − low), c] · w[a, c, k],    x↑[n, e·p, c] = x[n, p, c]

Between the numbers of x↑ lie zeros, and the windows never see them. XLA's CPU backend hands
convolutions in two dimensions to a library (YNNPACK), but not those of an x that has an input
dilation: its own code (Eigen) takes these, and steps over the zeros. Where the library is slow this
is up to twice as fast; where it is not, it is a little slower than the plain form. It is enough to
spread the first dimension. Channels last.
"""

from dataclasses import replace
from typing import Any

import jax
from jax import Array

from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction import plain
from jaxconv.contraction.form import Form, Inner
from jaxconv.geometry import Ints

APART = 2
# The library of this version is slow for all convolutions, that of others (0.10.0, 0.10.1, 0.11.0
# to 0.12.0 were measured) only for kernels as large as an image, which kernel gradients have. 3×3
# 64→64, 64×32×32, y takes 37 ms in the plain form and 21 ms so.
SLOW_LIBRARY = (0, 10, 2) <= jax.__version_info__ < (0, 11)
# Convolutions of no more channels, in and out, the library does not take.
TOO_FEW = 16
# For wider numbers, in bytes, there is no other code: float64 takes 127 ms so and 9.8 ms plain.
WIDEST = 4

# y and dx: with fewer channels, fewer pairs of them or less work the library is not slow enough.
# 3×3, 64×16×16, takes, 20→20, 1.6 ms so and 1.2 ms in the plain form.
LEAST_CHANNELS = 16
LEAST_PAIRS = 512
MUCH_WORK = 2**25

# dw of so many channels is computed at once, and not in blocks of images (`blocks.py`): 3×3
# 256→256, 16×14×14, takes 13.7 ms so and 14.9 ms in blocks.
AT_ONCE = 256
# So, too, of so many channels where there are too few terms for blocks: 64→64, 16×14×14, takes
# 2.6 ms so and 8.6 ms in the plain form.
AT_ONCE_OF_FEW_TERMS = 16
# dw sums over examples and positions; with fewer of these terms blocks do not pay: 64·8·8 terms of
# 64 channels take 3.7 ms in blocks and 3.3 ms in the plain form.
MANY_TERMS = 6144
# With so many channels fewer terms will do.
MANY_CHANNELS = 48
MANY_TERMS_OF_MANY = 4096
# Examples below which the kernel as large as an image has too few channels for the library.
LEAST_EXAMPLES = 8
# Multiply-adds below which the plain form of dw is taken.
LEAST_WORK = 2**21


def correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """y, of an x that is spread."""
    return plain.correlate(_apart(spec, x.dtype), x, w, precision=inner.precision)


def kernel_gradient(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    """dw, of an x that is spread."""
    return plain.kernel_gradient(_apart(spec, x.dtype), x, dy, precision=inner.precision)


def distances(dims: int, dtype: Any) -> Ints:
    """e in each dimension: 1 where the library is not asked, or there is no other code."""
    apart = dims == 2 and dtype.itemsize <= WIDEST
    return (APART if apart else 1, *(1,) * (dims - 1))


def _apart(spec: ConvSpec, dtype: Any) -> ConvSpec:
    e = distances(spec.dims, dtype)
    return replace(
        spec,
        input_dilation=e,
        stride=times(e, spec.stride),
        dilation=times(e, spec.dilation),
        padding=tuple((n * low, n * high) for n, (low, high) in zip(e, spec.padding, strict=True)),
    )


def times(e: Ints, numbers: Ints) -> Ints:
    """Dimension by dimension."""
    return tuple(n * number for n, number in zip(e, numbers, strict=True))


def has_few_terms(spec: ConvSpec, batch: int) -> bool:
    """Whether a kernel gradient sums over too few examples and positions for blocks of images."""
    terms = batch
    for count in spec.output:
        terms *= count
    return terms < (MANY_TERMS if spec.channels_in < MANY_CHANNELS else MANY_TERMS_OF_MANY)


def _applies(spec: ConvSpec, batch: int, dtype: Any) -> bool:
    fewest = min(spec.channels_in, spec.channels_out)
    many = fewest >= LEAST_CHANNELS and spec.channels_in * spec.channels_out >= LEAST_PAIRS
    much = many and spec.multiply_adds(batch) >= MUCH_WORK
    return much and spec.groups == 1 and max(distances(spec.dims, dtype)) > 1


def _applies_to_kernel_gradient(spec: ConvSpec, batch: int, dtype: Any) -> bool:
    least = AT_ONCE_OF_FEW_TERMS if has_few_terms(spec, batch) else AT_ONCE
    wide = spec.channels_in >= least and batch >= LEAST_EXAMPLES
    much = wide and spec.multiply_adds(batch) >= LEAST_WORK
    return much and spec.groups == 1 and max(distances(spec.dims, dtype)) > 1


FORMS = (
    Form(
        name="apart",
        contraction="correlate",
        platforms=("cpu",),
        when="two dimensions of many channels, much work, and a version of JAX with a slow library",
        applies=_applies,
        run=correlate,
        available=SLOW_LIBRARY,
    ),
    Form(
        name="apart",
        contraction="kernel_gradient",
        platforms=("cpu",),
        when=f"two dimensions of at least {AT_ONCE} input channels, or of"
        f" {AT_ONCE_OF_FEW_TERMS} where there are few terms to sum",
        applies=_applies_to_kernel_gradient,
        run=kernel_gradient,
        needs_batch=True,
    ),
)
