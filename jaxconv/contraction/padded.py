"""Windows with more elements than the image has positions: the zeros around it are written out.

    y[n, i, k] = Σ_{a,c} x̄[n, s·i + d·a, c] · w[a, c, k],      x̄[n, q, c] = x[n, q − low, c]

XLA exchanges the image and the kernel of a convolution where the kernel is the larger of the two.
On a CPU that is slow: there are then as many kernels as there were examples, and as many examples
as the kernel had channels. (It exchanges nothing where there are groups.) So x̄ becomes an array of
its own, behind a barrier, in which every window fits. Channels last.
"""

import math
from dataclasses import replace

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import DType
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction.form import Form, Inner

# With fewer channels on either side the exchange costs little: 3×3 8→256, 64×2×2, takes 0.27 ms in
# this form and 0.16 ms in the plain form.
LEAST_CHANNELS = 16


def correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """Return y, computed from a padded x."""
    edges = spec.covering
    widths = [(0, 0, 0), *((low, high, 0) for low, high in edges), (0, 0, 0)]
    padded = lax.optimization_barrier(lax.pad(x, jnp.zeros((), x.dtype), widths))
    none = ((0, 0),) * spec.dims
    within = replace(spec, size=padded.shape[1:-1], padding=none)
    return inner.correlate(within, padded, w)


def _applies(spec: ConvSpec, batch: int, dtype: DType) -> bool:
    fewest = min(spec.channels_in, spec.channels_out)
    larger = math.prod(spec.window) > math.prod(spec.size) > 1
    return spec.groups == 1 and larger and fewest >= LEAST_CHANNELS


FORMS = (
    Form(
        name="padded",
        contraction="correlate",
        platforms=("cpu",),
        when=f"windows have more elements than the image, and both sides at least {LEAST_CHANNELS}"
        " channels; there are no groups",
        applies=_applies,
        run=correlate,
    ),
)
