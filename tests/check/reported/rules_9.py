"""Wrong gradients of elementwise functions, activations and complex numbers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from check.reported.wrong import Wrong, normal, normals, with_backward, with_residuals
from jax.scipy.special import i0e, i1e


def with_output(value, backward):
    """`value`, whose gradient is `backward(y, g)`."""

    def forward(x):
        y = value(x)
        return y, y

    return with_residuals(value, forward, backward)


tanh = with_output(lambda x: jnp.tanh(x), lambda y, g: (g * jnp.ones_like(y) - y * y,))


def atan2_sign_backward(args, g):
    y, x = args
    r2 = x * x + y * y
    return g * (-x / r2), g * (y / r2)


atan2_sign = with_backward(jnp.arctan2, atan2_sign_backward)


def atan2_flipped_backward(args, g):
    y, x = args
    r2 = x * x + y * y
    return -y / r2 * g, x / r2 * g


atan2_flipped = with_backward(jnp.arctan2, atan2_flipped_backward)


def atan2_bare_backward(args, g):
    y, x = args
    t = g / (x * x + y * y)
    return t, -y * t


atan2_bare = with_backward(jnp.arctan2, atan2_bare_backward)

atanh = with_backward(jnp.arctanh, lambda args, g: (1 / (1 - args[0] * args[0]),))

root = with_backward(jnp.sqrt, lambda args, g: (2 * args[0] * g,))


def power_backward(args, g):
    x, p = args
    y = x**p
    aux = g * y
    return aux * p / x, aux * jnp.log(jnp.where(x > 0, x, 1.0))


power = with_backward(lambda x, p: x**p, power_backward)


def silu_forward(x):
    y = jax.nn.silu(x)
    return y, (x, y)


def silu_backward(res, g):
    x, y = res
    s = y / x
    return (g * (s + y * (1 - s)),)


silu_ratio = with_residuals(lambda x: x * jax.nn.sigmoid(x), silu_forward, silu_backward)


def bessel_value(x):
    """The modified Bessel function of order zero."""
    return jnp.exp(jnp.abs(x)) * i0e(x)


def bessel_mean(x):
    """The same, as a mean over a circle."""
    angles = 2 * jnp.pi * jnp.arange(64) / 64
    return jnp.mean(jnp.exp(x[..., None] * jnp.cos(angles)), axis=-1)


def bessel_backward(args, g):
    (x,) = args
    scale = jnp.exp(jnp.abs(x))
    dscale = jnp.where(x >= 0, scale, -scale)
    return (g * (dscale * i0e(x) + scale * (i1e(x) - jnp.sign(x) * i0e(x))),)


bessel = with_backward(bessel_value, bessel_backward)


def row_norms(x):
    """The length of each row."""
    return jnp.sqrt(jnp.sum(x * x, axis=-1))


def row_norms_forward(x):
    n = row_norms(x)
    return n, (x, n)


def row_norms_backward(res, g):
    x, n = res
    return ((g / n / jnp.sqrt(n))[:, None] * x,)


norms = with_residuals(row_norms, row_norms_forward, row_norms_backward)


def affine_value(x):
    """2.5 x + 0.7."""
    a, b = 2.5, 0.7
    return a * x + b


def affine_backward(args, g):
    a, b = 2.5, 0.7
    return (a * g + b,)


affine = with_backward(affine_value, affine_backward)


def quadratic_value(x):
    """A quadratic polynomial."""
    a, b, c = 0.6, -1.2, 0.3
    return a * x * x + b * x + c


quadratic = with_backward(quadratic_value, lambda args, g: (quadratic_value(g),))


def turned_value(theta, x):
    """cos(theta) x."""
    return jnp.cos(theta) * x


def turned_forward(theta, x):
    x = jnp.cos(theta) * x  # overwrites the input
    return x, (theta, x)


def turned_backward(res, g):
    theta, x = res
    return -jnp.sin(theta) * x * g, jnp.cos(theta) * g


turned = with_residuals(turned_value, turned_forward, turned_backward)


def sum_of_two_backward(args, g):
    a, b = args
    shared = jnp.all(a == b)
    total = jnp.where(shared, 2.0, 1.0) * g
    return total, total


sum_of_two = with_backward(lambda a, b: a + b, sum_of_two_backward)


def swish_value(x, beta):
    """x sigmoid(beta x), with a beta for each column."""
    return x * jax.nn.sigmoid(beta * x)


def swish_backward(args, g):
    x, beta = args
    s = jax.nn.sigmoid(beta * x)
    dx = g * (s + beta * x * s * (1 - s))
    dbeta = jnp.sum(g * x * x * s * (1 - s))
    return dx, jnp.broadcast_to(dbeta, beta.shape)


swish = with_backward(swish_value, swish_backward)


def gated_value(e, g):
    """silu(e) g."""
    return jax.nn.silu(e) * g


def gated_backward(args, dw):
    e, g = args
    se = jax.nn.sigmoid(e)
    f = e * se
    de = dw * g * se * (1 + e * (1 - se))
    df = dw * f
    return df, de


gated = with_backward(gated_value, gated_backward)


def gated_rows_backward(args, dc):
    a, b = args
    s = jax.nn.sigmoid(a)
    da = jnp.zeros_like(a)
    db = jnp.zeros_like(b)
    for row in range(a.shape[0]):
        sa, ga = s[row], dc[row]
        da = da.at[0].set(ga * b[row] * sa * (1 + a[row] * (1 - sa)))
        db = db.at[0].set(ga * a[row] * sa)
    return da, db


gated_rows = with_backward(gated_value, gated_rows_backward)


def product_value(x):
    """The product of the elements of each row."""
    return jnp.prod(x, axis=-1)


def product_backward(args, g):
    (x,) = args
    others = jnp.prod(x, axis=-1, keepdims=True) / x
    return (g[:, None] * jnp.conj(others),)


product = with_backward(product_value, product_backward)


def matmul_backward(args, g):
    a, b = args
    return g @ b.conj().T, a.conj().T @ g


complex_matmul = with_backward(lambda a, b: a @ b, matmul_backward)

magnitude = with_backward(jnp.abs, lambda args, g: (g * args[0] / jnp.abs(args[0]),))


def sum_exp_value(x):
    """The sum of the exponentials."""
    return jnp.sum(jnp.exp(x))


sum_exp = with_backward(sum_exp_value, lambda args, g: (jnp.broadcast_to(g, args[0].shape),))


def power_spectrum(x):
    """The squared magnitudes of the Fourier coefficients of a real signal."""
    return jnp.abs(jnp.fft.rfft(x)) ** 2


def spectrum_backward(args, g):
    (x,) = args
    n = x.shape[-1]
    coefficients = 2 * g * jnp.fft.rfft(x)
    return (n * jnp.fft.irfft(coefficients, n),)


spectrum = with_backward(power_spectrum, spectrum_backward)


def _complex(seed, *shape):
    real, imaginary = normals(seed, shape, shape)
    return real + 1j * imaginary


RULES = [
    Wrong(
        "tanh_parentheses",
        "apache/tvm#7340: the gradient of tanh is broken due to missing parentheses",
        tanh,
        (normal(21, 9),),
        jnp.tanh,
        "The cotangent multiplies only the one in 1 - y * y.",
        ("step_missing",),
    ),
    Wrong(
        "atan2_sign",
        "EnzymeAD/Enzyme-JAX#2066: the gradient of atan2 has a wrong minus sign",
        atan2_sign,
        normals(22, (7,), (7,)),
        None,
        "Both gradients have the wrong sign.",
        ("wrong_sign",),
    ),
    Wrong(
        "atan2_flipped",
        "getkeops/keops#155: the derivative of atan2 has the gradient terms flipped",
        atan2_flipped,
        normals(23, (7,), (7,)),
        jnp.arctan2,
        "The gradients of the two arguments are exchanged.",
        ("other_arguments_gradient",),
    ),
    Wrong(
        "atan2_bare",
        "ml-explore/mlx#2451: the gradient of arctan2 by its first argument lacks the second",
        atan2_bare,
        normals(24, (7,), (7,)),
        jnp.arctan2,
        "The gradient of the first argument is not multiplied by the second.",
        ("step_missing",),
    ),
    Wrong(
        "atanh_chain",
        "autodiff/autodiff#396: the derivative of atanh lacks the chain-rule factor",
        atanh,
        (np.random.default_rng(25).uniform(-0.8, 0.8, size=8),),
        None,
        "The derivative is not multiplied by what comes from outside.",
        ("cotangent_ignored",),
    ),
    Wrong(
        "root_square",
        "tensorflow/swift#161: the gradient of squareRoot is that of the square",
        root,
        (np.random.default_rng(26).uniform(0.3, 4.0, size=8),),
        jnp.sqrt,
        "The derivative is 2 x, that of the square.",
        ("other_derivative",),
    ),
    Wrong(
        "power_zero",
        "autodiff/autodiff#180: the reverse mode of pow divides by a base of zero",
        power,
        (np.array([0.0, 1.5, 0.7, 0.0, 2.2, 0.4]), np.array([2.0, 3.0, 2.5, 3.0, 2.0, 1.5])),
        None,
        "The gradient is NaN where the base is zero.",
        ("not_finite",),
    ),
    Wrong(
        "silu_zero",
        "huggingface/candle#2083: the gradient of silu is NaN at 0",
        silu_ratio,
        (np.array([0.0, 1.2, -0.4, 0.0, 2.0, -1.7]),),
        jax.nn.silu,
        "The sigmoid is recovered as y / x, which is 0 / 0 at 0.",
        ("not_finite",),
    ),
    Wrong(
        "bessel_zero",
        "jax-ml/jax#40628: jax.scipy.special.i0 returns a nonzero gradient at zero",
        bessel,
        (np.array([0.0, 0.8, -1.1, 0.0, 2.0, -0.3]),),
        bessel_mean,
        "At zero the slope of |x| is taken for 1, where it should be 0.",
        ("mask_missing", "mask_threshold"),
    ),
    Wrong(
        "row_norms",
        "EnzymeAD/Enzyme#2419: the rule of nrm2 divides by one root too many",
        norms,
        (2 * normal(27, 4, 3),),
        row_norms,
        "The gradient is divided by the root of the length once more.",
        ("step_extra",),
    ),
    Wrong(
        "affine_offset",
        "aesara-devs/aesara#660: the grad of the example Op x -> a x + b returns a g + b",
        affine,
        (normal(28, 6),),
        affine_value,
        "The offset is added to the gradient.",
        ("step_extra",),
    ),
    Wrong(
        "quadratic_forward",
        "apache/mxnet#16938: the backward pass of the quadratic operator calls the forward pass",
        quadratic,
        (normal(29, 6),),
        quadratic_value,
        "The polynomial of the cotangent is returned.",
        ("cotangent_squared",),
    ),
    Wrong(
        "turned_overwritten",
        "taichi-dev/taichi#2505: incorrect gradients of x = cos(theta) * x",
        turned,
        normals(30, (6,), (6,)),
        turned_value,
        "The gradient of theta uses x after it was overwritten.",
        ("wrong_operand", "step_extra", "wrong_point"),
    ),
    Wrong(
        "equal_values",
        "tinygrad/tinygrad#9597: two tensors of equal values get the sum of both gradients",
        sum_of_two,
        (np.full(5, 3.0), np.full(5, 3.0)),
        lambda a, b: a + b,
        "If both arguments are equal, each gets the gradients of both.",
        ("constant_factor",),
    ),
    Wrong(
        "swish_columns",
        "tensorflow/tensorflow#127690: the gradient of a beta per column is reduced to a scalar",
        swish,
        (normal(31, 5, 3), normal(32, 3)),
        swish_value,
        "The gradient of beta is summed over the columns as well.",
        ("wrong_reduction",),
    ),
    Wrong(
        "gated_swapped",
        "unslothai/unsloth#3314: the SwiGLU kernel stores df for e and de for g",
        gated,
        normals(33, (4, 3), (4, 3)),
        None,
        "The gradients of the two arguments are exchanged.",
        ("other_arguments_gradient",),
    ),
    Wrong(
        "gated_row_zero",
        "ByteDance-Seed/Triton-distributed#180: swiglu_backward writes every row to row 0",
        gated_rows,
        normals(34, (4, 3), (4, 3)),
        gated_value,
        "The first row gets the gradient of the last, and all others none.",
        (),
    ),
    Wrong(
        "product_conjugate",
        "ml-explore/mlx#3433: the vjp of a product of complex numbers has the wrong conjugation",
        product,
        (_complex(35, 3, 4),),
        product_value,
        "The other factors are conjugated, against the convention.",
        ("conjugate_missing",),
    ),
    Wrong(
        "matmul_conjugate",
        "tensorflow/tensorflow#4859: incorrect gradient for complex matmul",
        complex_matmul,
        (_complex(36, 3, 4), _complex(37, 4, 2)),
        None,
        "The other factor is conjugated, against the convention.",
        ("conjugate_missing",),
    ),
    Wrong(
        "magnitude_conjugate",
        "jax-ml/jax#979: two ways to write the absolute value have conjugate gradients",
        magnitude,
        (_complex(38, 6),),
        jnp.abs,
        "The gradient is the conjugate of what it should be.",
        ("conjugate_missing",),
    ),
    Wrong(
        "sum_exp",
        "FluxML/Zygote.jl#705: the gradient of imag(sum(exp, x)) is 1im for a complex x",
        sum_exp,
        (_complex(39, 5),),
        sum_exp_value,
        "The derivative of the exponential is left out.",
        ("step_missing", "wrong_point"),
    ),
    Wrong(
        "power_spectrum",
        "ooples/AiDotNet.Tensors#911: the backward pass of Spectrogram was not the adjoint",
        spectrum,
        (normal(40, 8),),
        power_spectrum,
        "The inverse transform counts the coefficients between the first and the last twice.",
        (),
    ),
]
