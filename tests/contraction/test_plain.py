"""The three contractions of one trilinear form."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxconv
from contraction.calls import drawn, factors
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction import correlate, input_gradient, kernel_gradient, plain, rot180
from jaxconv.contraction.planning import Call


def plainly(spec):
    """The three contractions of (x, w, dy) in the plain form."""

    @jax.jit
    def contract(x, w, dy):
        return (
            plain.correlate(spec, x, w),
            plain.input_gradient(spec, w, dy),
            plain.kernel_gradient(spec, x, dy),
        )

    return contract


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_one_trilinear_form(seed, layout):
    """T(x, w, dy) is one number, whichever factor is left for last."""
    spec, batch = drawn(seed)
    x, w, dy = factors(spec, batch)
    if layout == "channels_first":
        x, dy = (np.moveaxis(image, -1, 1) for image in (x, dy))
        w = np.moveaxis(w, (-1, -2), (0, 1))

    @jax.jit
    def contract(x, w, dy):
        of = {"layout": layout}
        return (
            correlate(spec, x, w, **of),
            input_gradient(spec, w, dy, **of),
            kernel_gradient(spec, x, dy, **of),
        )

    y, dx, dw = contract(x, w, dy)
    assert (y.shape, dx.shape, dw.shape) == (dy.shape, x.shape, w.shape)
    assert np.sum(y * dy) == np.sum(x * dx) == np.sum(w * dw)


def test_unrounded():
    """16-bit factors leave a float32 sum for the rule to round."""
    spec, batch = drawn(0, groups=1)
    x, w, dy = (jnp.asarray(a, jnp.bfloat16) for a in factors(spec, batch))
    for contraction, *both in (
        (correlate, x, w), (input_gradient, w, dy), (kernel_gradient, x, dy),
    ):  # fmt: skip
        assert contraction(spec, *both).dtype == jnp.float32
    np.testing.assert_array_equal(rot180(w), w[::-1])


def test_a_pair_of_precisions_goes_to_its_factors():
    """Whichever of the two stands on the left when a form multiplies them."""
    precisions = jax.lax.Precision.HIGH, jax.lax.Precision.HIGHEST
    spec, batch = drawn(1, input_dilation=1)
    x, w, dy = factors(spec, batch)
    for contraction, *both in ((plain.correlate, x, w), (plain.kernel_gradient, x, dy)):
        jaxpr = jax.make_jaxpr(lambda *a, f=contraction: f(spec, *a, precision=precisions))(*both)
        (found,) = (e for e in jaxpr.eqns if e.primitive.name == "conv_general_dilated")
        assert found.params["precision"] == precisions


@pytest.mark.parametrize(("stride", "holes"), [(1, 1), (2, 1), (1, 2), (2, 3), (3, 2)])
def test_the_kernel_gradient_keeps_the_precision_of_each_factor(stride, holes):
    """Of x and of dy, also where their roles are exchanged: the one with 7 channels is x."""
    spec = ConvSpec(
        size=(5,), window=(3,), stride=(stride,), dilation=(1,), input_dilation=(holes,),
        padding=((1, 1),), groups=1, channels_in=7, channels_out=4,
    )  # fmt: skip
    x, _, dy = factors(spec, 2)
    precisions = {7: jax.lax.Precision.HIGH, 4: jax.lax.Precision.HIGHEST}
    call = Call(precision=tuple(precisions.values()))
    jaxpr = jax.make_jaxpr(partial(call.run, "kernel_gradient", spec))(x, dy)
    (found,) = (e for e in jaxpr.eqns if e.primitive.name == "conv_general_dilated")
    numbers = found.params["dimension_numbers"]
    specs = numbers.lhs_spec, numbers.rhs_spec  # batch or output, feature or input, space
    for variable, axes, precision in zip(
        found.invars, specs, found.params["precision"], strict=True
    ):
        assert precision == precisions[variable.aval.shape[axes[0]]]


@pytest.mark.parametrize("seed", range(12))
def test_padding_that_cuts_at_one_end_and_adds_at_the_other(seed):
    """In float32, of which XLA's own code is wrong there (JAX 0.10.0 and 0.10.2)."""
    rng = np.random.default_rng(seed)
    spec, batch = drawn(seed, groups=1, channels=(24, 9), input_dilation=1)
    cut = tuple((-int(rng.integers(1, 7)), int(rng.integers(1, 7))) for _ in spec.size)
    spec = dataclasses.replace(spec, size=tuple(n + 9 for n in spec.size), padding=cut)
    x, w, dy = factors(spec, batch)
    contract = plainly(spec)

    for got, want in zip(
        contract(*(a.astype(np.float32) for a in (x, w, dy))), contract(x, w, dy), strict=True
    ):
        np.testing.assert_array_equal(got, want)


def test_padding_that_cuts_more_than_there_is():
    spec, batch = drawn(0, groups=1, input_dilation=1)
    spec = dataclasses.replace(spec, padding=tuple((-n - 2, 2 * n + 9) for n in spec.size))
    x, w, _ = factors(spec, batch)
    np.testing.assert_array_equal(plain.correlate(spec, x, w), 0)


@pytest.mark.parametrize(
    "geometry",
    [
        {"size": (1, 3), "window": (3, 2), "input_dilation": (2, 2), "padding": ((0, 3), (0, 0))},
        {"size": (3, 3, 1), "window": (3, 2, 2), "input_dilation": (1, 2, 2),
         "padding": ((0, 0), (0, 0), (3, 0))},
        {"size": (3, 1), "window": (2, 3), "input_dilation": (2, 1), "padding": ((0, 0), (3, 3))},
        {"size": (1, 1, 2), "window": (1, 3, 3), "stride": (2, 2, 2), "input_dilation": (2, 3, 3),
         "padding": ((0, 0), (0, 3), (0, 0))},
        {"size": (2, 2, 1), "window": (3, 3, 1), "stride": (2, 2, 2), "input_dilation": (3, 1, 3),
         "padding": ((0, 0), (3, 2), (2, 0))},
    ],
)  # fmt: skip
def test_an_input_of_one_column(geometry):
    """XLA's CPU compiler ends the process here without one window more (0.10.2 and 0.12.0)."""
    ones = (1,) * len(geometry["size"])
    spec = ConvSpec(
        **{"stride": ones, "dilation": ones, "groups": 1, "channels_in": 2, "channels_out": 3,
           **geometry}
    )  # fmt: skip
    x, w, dy = factors(spec, 2)
    contract = plainly(spec)

    for dtype in (np.float64, np.float32):
        x, w, dy = (a.astype(dtype) for a in (x, w, dy))
        y, dx, dw = contract(x, w, dy)
        assert (y.shape, dx.shape, dw.shape) == (dy.shape, x.shape, w.shape)
        assert np.sum(y * dy) == np.sum(x * dx) == np.sum(w * dw) != 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "stride", "padding"),
    [
        ((1, 4, 3, 4), (2, 2), ((1, 1), (0, 0))),
        ((1, 4, 3, 4), (2, 3), ((1, 1), (-1, 1))),
        ((2, 3, 4, 2), (3, 2), ((0, 0), (1, 1))),
        ((1, 6, 3, 1), (2, 3), ((1, 1), (-1, 1))),
    ],
)
def test_an_output_of_one_column(dtype, shape, stride, padding):
    """XLA's CPU compiler ends the process for JAX's own gradients here (0.10.2 and 0.12.0)."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=shape), dtype)
    w = jnp.asarray(rng.normal(size=(2, 2, shape[-1], 3)), dtype)

    def call(x, w):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jaxconv.conv_general_dilated(x, w, stride, padding, dimension_numbers=numbers)

    def written_out(x, w):
        widths = [(0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)]
        x = jax.lax.pad(x, jnp.zeros((), dtype), widths)
        rows, columns = ((x.shape[i] - 2) // stride[i - 1] + 1 for i in (1, 2))
        return sum(
            x[:, a :: stride[0], b :: stride[1]][:, :rows, :columns] @ w[a, b]
            for a in range(2)
            for b in range(2)
        )

    y, pull = jax.vjp(written_out, x, w)
    assert min(y.shape[1:3]) == 1
    dy = jnp.asarray(rng.normal(size=y.shape), dtype)
    found = jax.jit(lambda x, w, dy: jax.vjp(call, x, w)[1](dy))(x, w, dy)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for got, want in zip(found, pull(dy), strict=True):
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
