"""The kernel gradient for few output channels, with the roles of x and dy exchanged. Channels last.

Without a stride, dw is the kernel gradient of the transposed convolution, read backwards:

    dw[a, c, k] = Σ_{n,p} dy[n, p + low − d·a, k] · x[n, p, c]

Either of the two can slide over the other. The one that stands still is read as a kernel with its
channels as columns, and few columns do not fill a vector, so the wider one stands still.
"""

import math

from jax import Array

from jaxconv._core.arguments import DType
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction.form import Form, Inner
from jaxconv.contraction.kernels import transposed

# Multiply-adds below which the roles stay as they are: 3×3 16→2, 14×14, four images, takes 0.07 ms
# with exchanged roles and 0.12 ms in the plain form.
LEAST_WORK = 2**17
# There are at most this many output channels: 3×3 64→16, 64×28×28, takes 4.9 ms with exchanged
# roles and 9.8 ms in blocks of images.
MOST_CHANNELS = 16


def kernel_gradient(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    """Return dw, computed as that of the transposed spec."""
    turned = inner.with_factors_exchanged()
    return transposed(turned.kernel_gradient(spec.transposed, dy, x), spec.groups)


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    few = spec.channels_out <= MOST_CHANNELS and 2 * spec.channels_out <= spec.channels_in
    plane = spec.dims == 2 and spec.groups == 1 == math.prod(spec.stride)
    return few and plane and spec.multiply_adds(batch) >= LEAST_WORK


FORMS = (
    Form(
        name="roles exchanged",
        contraction="kernel_gradient",
        platforms=("cpu",),
        when=f"two dimensions, at most {MOST_CHANNELS} output channels and twice as many input"
        " channels, without a stride or groups",
        applies=_applies,
        run=kernel_gradient,
    ),
)
