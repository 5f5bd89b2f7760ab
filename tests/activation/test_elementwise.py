"""The elementwise activations where samples from a bell curve do not go."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quickly import AS_USERS_DO

import jaxconv
import jaxconv.reference

OPS = {
    "relu": {},
    "relu6": {},
    "leaky_relu": {},
    "hard_sigmoid": {},
    "hard_silu": {},
    "hard_tanh": {},
    "softshrink": {},
    "hardshrink": {},
    "tanhshrink": {},
    "threshold": {"threshold": 1.0, "value": -2.0},
    "elu": {"alpha": 0.5},
    "celu": {"alpha": 0.5},
    "selu": {},
    "softplus": {},
    "squareplus": {},
    "sigmoid": {},
    "log_sigmoid": {},
    "tanh": {},
    "soft_sign": {},
    "silu": {},
    "gelu": {},
    "gelu exact": {"approximate": False},
    "mish": {},
}
TENDS_TO = {  # slopes at −∞ and ∞ where autodiff makes NaN of 0·∞
    **dict.fromkeys(("silu", "gelu", "gelu exact", "mish", "squareplus"), (0, 1)),
    "soft_sign": (0, 0),
}
SMOOTH = ("softplus", "sigmoid", "log_sigmoid", "tanh", "elu", "celu", "selu", *TENDS_TO)

each_op = pytest.mark.parametrize("name", OPS)


def value_and_slope(module, name, x):
    op = partial(getattr(module, name.partition(" ")[0]), **OPS[name])
    y, pull = jax.vjp(op, x)
    return y, pull(jnp.ones_like(y))[0]


@each_op
@pytest.mark.parametrize("dtype", [jnp.float64, jnp.bfloat16])
def test_kinks_nan_and_infinities_are_those_of_the_reference(name, dtype):
    """Where the gradient is a choice it is that of `jax.nn` or PyTorch, as in the reference."""
    kinks = np.array([-6, -3, -1, -0.5, -0.0, 0, 0.5, 1, 3, 6])
    x = jnp.asarray([*kinks, np.nan, -1e4, 1e4, -np.inf, np.inf]).astype(dtype)
    y, slope = value_and_slope(jaxconv, name, x)
    want_y, want = value_and_slope(jaxconv.reference, name, x)
    want = np.array(want, float)
    if name in TENDS_TO:
        assert np.isnan(want[-2:]).all()
        want[-2:] = TENDS_TO[name]
    rounding = 1e-12 if dtype == jnp.float64 else 2.0**-8
    np.testing.assert_allclose(np.asarray(y, float), np.asarray(want_y, float), rounding, rounding)
    np.testing.assert_allclose(np.asarray(slope, float), want, rounding, rounding)


@each_op
def test_second_derivatives_are_finite_and_agree_about_kinks(name):
    """f(x)·u differentiated in x and then u, or in u and then x: rule against forward value."""
    x = jnp.array([-1e4, -6, -3, -1, -0.5, 0, 0.5, 1, 3, 6, 1e4])
    op = partial(getattr(jaxconv, name.partition(" ")[0]), **OPS[name])

    def scaled(x, u):
        return op(x) * u

    def both(x):
        x_then_u = jax.grad(jax.grad(scaled, 0), 1)(x, 1.0)
        u_then_x = jax.grad(jax.grad(scaled, 1), 0)(x, 1.0)
        return x_then_u, u_then_x, jax.grad(jax.grad(op))(x)

    x_then_u, u_then_x, second = jax.jit(jax.vmap(both))(x)
    np.testing.assert_allclose(x_then_u, u_then_x, 1e-12, 1e-12)
    assert np.isfinite(second).all()


@each_op
def test_float32_far_out(name):
    """From ±1e-30 to ±1e30, against float64: an error of a few roundings of 1, or of the value.

    No derivative overflows on the way.
    """
    far = np.logspace(-30, 30, 241)
    x = jnp.asarray(np.concatenate([-far, far])).astype(jnp.float32)
    compiled = jax.jit(partial(value_and_slope, jaxconv, name), compiler_options=AS_USERS_DO)
    got, truth = compiled(x), compiled(x.astype(jnp.float64))
    for what, g, t in zip(("y", "slope"), got, truth, strict=True):
        if (name, what) == ("squareplus", "y"):
            continue  # as in jax.nn, x and √(x² + b) cancel below 0, and x² overflows
        np.testing.assert_allclose(g, t, 1e-6, 1e-6, err_msg=what)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_16_bits_are_rounded_once(name, dtype):
    """Each slope is the number next to the true one; read off a rounded y it would be others."""
    x = jnp.linspace(-8, 8, 201).astype(dtype)
    got = value_and_slope(jaxconv, name, x)
    truth = value_and_slope(jaxconv, name, x.astype(jnp.float64))
    half = float(jnp.finfo(dtype).eps) / 2
    for g, t in zip(got, truth, strict=True):
        assert g.dtype == dtype
        np.testing.assert_allclose(np.asarray(g, float), t, 1.01 * half, 1e-5)


@each_op
def test_one_array_is_saved(name):
    """y where it tells the slope, one byte an element, or x; of 16 bits no rounded y."""
    x = jnp.linspace(-8.0, 8.0, 200, dtype=jnp.float32)
    masks = ("leaky_relu", "hard_tanh", "threshold")
    inputs = ("hard_silu", "tanhshrink", "selu", *TENDS_TO)
    for dtype in (jnp.float32, jnp.bfloat16):
        y, pull = jax.vjp(
            partial(getattr(jaxconv, name.partition(" ")[0]), **OPS[name]), x.astype(dtype)
        )
        (saved,) = jax.tree.leaves(pull)
        if name in masks:
            assert saved.dtype == bool
            continue
        is_x = name in inputs or (name in SMOOTH and dtype == jnp.bfloat16)
        np.testing.assert_array_equal(saved, x.astype(dtype) if is_x else y)


@pytest.mark.parametrize("name", ["leaky_relu", "elu"])
def test_a_negative_part_may_be_turned_up(name):
    """With a negative slope or alpha y does not tell the sign of x, and is not asked."""
    keyword = {"leaky_relu": "negative_slope", "elu": "alpha"}[name]
    x = jnp.array([-2.0, -0.5, 0.5, 2.0])
    op, reference = (
        partial(getattr(m, name), **{keyword: -0.7}) for m in (jaxconv, jaxconv.reference)
    )
    assert (np.asarray(op(x)) > 0).all()
    np.testing.assert_allclose(jax.jacobian(op)(x), jax.jacobian(reference)(x), 1e-12)
