"""The sum of no products: the result is 0 everywhere, or has no elements. Channels last."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import accumulator
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction.form import Contraction, Form, Inner


def correlate(spec: ConvSpec, x: Array, w: Array, inner: Inner) -> Array:
    """Return a y of zeros."""
    return jnp.zeros((x.shape[0], *spec.output, spec.channels_out), accumulator(x.dtype))


def input_gradient(spec: ConvSpec, w: Array, dy: Array, inner: Inner) -> Array:
    """Return a dx of zeros."""
    return jnp.zeros((dy.shape[0], *spec.size, spec.channels_in), accumulator(w.dtype))


def kernel_gradient(spec: ConvSpec, x: Array, dy: Array, inner: Inner) -> Array:
    """Return a dw of zeros."""
    return jnp.zeros(spec.kernel_shape, accumulator(x.dtype))


def _applies(spec: ConvSpec, batch: int, dtype: object) -> bool:
    return spec.is_empty or batch == 0


_RUNS: dict[Contraction, Callable[..., Array]] = {
    "correlate": correlate,
    "input_gradient": input_gradient,
    "kernel_gradient": kernel_gradient,
}
FORMS = tuple(
    Form(
        name="empty",
        contraction=contraction,
        platforms=(),
        when="the batch, a size or a number of channels is 0",
        applies=_applies,
        run=run,
        input_dilation=True,
    )
    for contraction, run in _RUNS.items()
)
