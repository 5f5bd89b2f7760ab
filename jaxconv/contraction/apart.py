"""The plain form with everything e = 2 apart: the same sum, and other code to compute it.

    y[n, i, k] = Σ_{a,c} x↑[n, e·(s·i + d·a − low), c] · w[a, c, k],    x↑[n, e·p, c] = x[n, p, c]

Between the numbers of x↑ lie zeros, and the windows never see them. XLA's CPU backend hands
convolutions in two dimensions to a library (YNNPACK), but not those of an x that has an input
dilation: its own code (Eigen) takes these, and steps over the zeros. Where the library is slow this
is up to twice as fast; where it is not, it is a little slower than the plain form. It is enough to
spread the first dimension. Channels last.
"""

import math
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

# dw reads dy as a kernel as large as an image. Numbers of dy with which that leaves the cache: 3×3
# 64→64, 14×14, takes 1.4 ms for 16 images and in the plain form 2.1 ms, for 64 5.8 ms and 24 ms.
MANY_NUMBERS = 2**18
# Where the library is slow fewer will do.
MANY_NUMBERS_FOR_SLOW_LIBRARY = 2**17
# dw of so many input channels is computed at once, and not in blocks of images (`blocks.py`): 3×3
# 256→256, 16×14×14, takes 13.2 ms so and 14.1 ms in blocks.
AT_ONCE = 256
# So, too, of so few: 3×3 3→32, 32×32×32, takes 0.67 ms so, 0.88 ms in blocks.
FEW_CHANNELS = 8
# And of so many at least, where the library is slow and dy too small for blocks.
LEAST_CHANNELS_OF_SMALL = 16
# Examples below which that kernel has too few channels for the library: 3×3 256→256, 4×14×14, takes
# 4.4 ms so and 4.3 ms in the plain form.
LEAST_EXAMPLES = 8


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


def numbers_of_dy(spec: ConvSpec, batch: int) -> int:
    """How many numbers the cotangent of y holds."""
    return batch * math.prod(spec.output) * spec.channels_out


def _applies(spec: ConvSpec, batch: int, dtype: Any) -> bool:
    fewest = min(spec.channels_in, spec.channels_out)
    many = fewest >= LEAST_CHANNELS and spec.channels_in * spec.channels_out >= LEAST_PAIRS
    much = many and spec.multiply_adds(batch) >= MUCH_WORK
    return much and spec.groups == 1 and max(distances(spec.dims, dtype)) > 1


def _applies_to_kernel_gradient(spec: ConvSpec, batch: int, dtype: Any) -> bool:
    numbers, channels = numbers_of_dy(spec, batch), spec.channels_in
    if spec.groups > 1 or max(distances(spec.dims, dtype)) == 1:
        return False
    if channels <= FEW_CHANNELS:
        return numbers >= MANY_NUMBERS
    if batch < LEAST_EXAMPLES:
        return False
    small = SLOW_LIBRARY and MANY_NUMBERS_FOR_SLOW_LIBRARY <= numbers < MANY_NUMBERS
    if small and channels >= LEAST_CHANNELS_OF_SMALL:
        return True
    return channels >= AT_ONCE and numbers >= MANY_NUMBERS


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
        when=f"two dimensions of at least {AT_ONCE} or at most {FEW_CHANNELS} input channels, and a"
        " dy that leaves the cache",
        applies=_applies_to_kernel_gradient,
        run=kernel_gradient,
        needs_batch=True,
    ),
)
