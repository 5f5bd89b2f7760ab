"""The plain form with all elements e = 2 apart: the same sum, computed by other code.

    y[n, i, k] = Σ_{a,c} x↑[n, e·(s·i + d·a − low), c] · w[a, c, k],    x↑[n, e·p, c] = x[n, p, c]

Zeros lie between the numbers of x↑, and the windows never meet them. XLA's CPU backend hands
convolutions in two dimensions to a library (YNNPACK), except those of an x that has an input
dilation: its own code (Eigen) computes these, and skips the zeros. For large kernels this is up to
three times as fast as the library, and for small ones a little slower. It is enough to spread the
first dimension. Channels last.
"""

import math
from dataclasses import replace

from jax import Array

from jaxconv._core.arguments import DType
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints
from jaxconv.contraction import plain
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.library import SLOW_LIBRARY

APART = 2
# The library does not take convolutions with at most this many input and output channels.
TOO_FEW = 16
# For numbers of more bytes Eigen has no fast code: float64 takes 127 ms in this form and 9.8 ms in
# the plain form.
WIDEST = 4

# From this many numbers in the kernel on, y and dx are faster in this form: 3×3 512→512, 8×7×7,
# takes 6.2 ms in it and 15.9 ms in the plain form.
LARGE_KERNEL = 2**17
# Where the library is slow, they are faster with smaller kernels, too, but not with fewer channels,
# fewer pairs of channels or less work: 3×3 20→20, 64×16×16, takes 1.6 ms in this form and 1.2 ms in
# the plain form.
LEAST_CHANNELS = 16
LEAST_PAIRS = 512
MUCH_WORK = 2**25

# From this many numbers in the kernel on, dw is faster in this form: 3×3 256→384, 4×13×13, takes
# 4.6 ms in it and 6.9 ms in the plain form.
LARGE_KERNEL_GRADIENT = 2**19
# The plain form of dw reads dy as a kernel as large as an image. From this many numbers on, dy does
# not fit the cache: 3×3 64→64, 64×14×14, takes 5.8 ms in this form and 24 ms in the plain form.
MANY_NUMBERS = 2**18
# Where the library is slow, fewer numbers of dy are enough if both channel counts are this large.
MANY_NUMBERS_FOR_SLOW_LIBRARY = 2**17
CHANNELS_FOR_SLOW_LIBRARY = 64
# From this many input channels on, dw is computed at once, and not in blocks of images
# (`blocks.py`): 3×3 256→256, 16×14×14, takes 13.2 ms at once and 14.1 ms in blocks.
AT_ONCE = 256
# With fewer examples, dy as a kernel has too few input channels for the library: 3×3 256→256,
# 4×14×14, takes 4.4 ms in this form and 4.3 ms in the plain form.
LEAST_EXAMPLES = 8


def correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """Return y, computed from an x that is spread."""
    return plain.correlate(_apart(spec, x.dtype), x, w, precision=inner.precision)


def kernel_gradient(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    """Return dw, computed from an x that is spread."""
    return plain.kernel_gradient(_apart(spec, x.dtype), x, dy, precision=inner.precision)


def distances(dims: int, dtype: DType) -> Ints:
    """Return e per dimension: 1 where XLA uses no library, or has no other code."""
    apart = dims == 2 and dtype.itemsize <= WIDEST
    return (APART if apart else 1, *(1,) * (dims - 1))


def _apart(spec: ConvSpec, dtype: DType) -> ConvSpec:
    e = distances(spec.dims, dtype)
    return replace(
        spec,
        input_dilation=e,
        stride=times(e, spec.stride),
        dilation=times(e, spec.dilation),
        padding=tuple((n * low, n * high) for n, (low, high) in zip(e, spec.padding, strict=True)),
    )


def times(e: Ints, numbers: Ints) -> Ints:
    """Return the products of e and these numbers, dimension by dimension."""
    return tuple(n * number for n, number in zip(e, numbers, strict=True))


def reaches_beyond(spec: ConvSpec) -> bool:
    """Return whether dy, as a kernel with its elements s apart, exceeds x in some dimension."""
    pairs = zip(spec.output, spec.stride, spec.size, strict=True)
    return any(s * (o - 1) + 1 > n for o, s, n in pairs)


def numbers_of_dy(spec: ConvSpec, batch: int) -> int:
    """Return how many numbers the cotangent of y holds."""
    return batch * math.prod(spec.output) * spec.channels_out


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    if spec.groups > 1 or max(distances(spec.dims, dtype)) == 1:
        return False
    if math.prod(spec.kernel_shape) >= LARGE_KERNEL:
        return True
    fewest = min(spec.channels_in, spec.channels_out)
    many = fewest >= LEAST_CHANNELS and spec.channels_in * spec.channels_out >= LEAST_PAIRS
    return SLOW_LIBRARY and many and spec.multiply_adds(batch) >= MUCH_WORK


def _applies_to_kernel_gradient(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    if spec.groups > 1 or max(distances(spec.dims, dtype)) == 1 or reaches_beyond(spec):
        return False
    if math.prod(spec.kernel_shape) >= LARGE_KERNEL_GRADIENT:
        return True
    numbers, fewest = numbers_of_dy(spec, batch), min(spec.channels_in, spec.channels_out)
    if batch < LEAST_EXAMPLES:
        return False
    if SLOW_LIBRARY and fewest >= CHANNELS_FOR_SLOW_LIBRARY and numbers < MANY_NUMBERS:
        return numbers >= MANY_NUMBERS_FOR_SLOW_LIBRARY
    return spec.channels_in >= AT_ONCE and numbers >= MANY_NUMBERS


FORMS = (
    Form(
        name="apart",
        contraction="correlate",
        platforms=("cpu",),
        when=f"two dimensions and a kernel of at least {LARGE_KERNEL} numbers; where XLA's library"
        " is slow, also many channels and much work",
        applies=_applies,
        run=correlate,
    ),
    Form(
        name="apart",
        contraction="kernel_gradient",
        platforms=("cpu",),
        when=f"two dimensions and a kernel of at least {LARGE_KERNEL_GRADIENT} numbers, or at"
        f" least {AT_ONCE} input channels and a dy too large for the cache",
        applies=_applies_to_kernel_gradient,
        run=kernel_gradient,
        needs_batch=True,
    ),
)
