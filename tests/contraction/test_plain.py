"""The three contractions of one trilinear form."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import integers, jit

from jaxconv.check.catalogue.geometries import conv_case
from jaxconv.contraction import correlate, input_gradient, kernel_gradient, rot180
from jaxconv.geometry import make_conv_geometry


@pytest.mark.parametrize("seed", range(100, 115))
def test_one_trilinear_form(seed):
    """T(x, w, dy) is one number, whichever factor is left for last."""
    case = conv_case(seed)
    keywords = {**case.keywords, "padding_mode": "zeros", "flip_kernel": False}
    x, w = integers(0, case.x), integers(1, case.w)
    g, *_ = make_conv_geometry("conv", x, w, None, precision=None, **keywords)

    @jit
    def contract(x, w, dy):
        return correlate(g, x, w), input_gradient(g, w, dy), kernel_gradient(g, x, dy)

    y_shape = jax.eval_shape(lambda x, w: correlate(g, x, w), x, w).shape
    dy = integers(2, y_shape)
    y, dx, dw = contract(x, w, dy)
    assert np.sum(y * dy) == np.sum(x * dx) == np.sum(w * dw)


def test_unrounded():
    """16-bit factors leave a float32 sum for the rule to round."""
    x, w = jnp.ones((1, 5, 1), jnp.bfloat16), jnp.ones((3, 1, 1), jnp.bfloat16)
    g, *_ = make_conv_geometry(
        "conv", x, w, None, stride=1, padding=1, dilation=1, groups=1, padding_mode="zeros",
        flip_kernel=False, layout="channels_last", precision=None,
    )  # fmt: skip
    for contraction, *factors in (
        (correlate, x, w),
        (input_gradient, w, x),
        (kernel_gradient, x, x),
    ):
        assert contraction(g, *factors).dtype == jnp.float32
    np.testing.assert_array_equal(rot180(replace(g), w), w[::-1])
