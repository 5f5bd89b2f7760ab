"""These rules are elementary and special functions of mathematics, physics and astronomy."""

import jax.numpy as jnp
from check.strangers.stranger import Stranger, array, normal


# Powers, roots and exponentials
def multiply_no_nan():
    from distrax._src.utils import math

    return (
        math.multiply_no_nan,
        (array([1.0, 2.0, -3.0]), array([0.3, 0.0, 2.0])),
        lambda x, y: x * y,
    )


def power_no_nan():
    from distrax._src.utils import math

    return (
        math.power_no_nan,
        (array([1.2, 2.0, 3.0]), array([0.3, 0.0, 1.0])),
        lambda x, y: x**y,
    )


def distreqx_power():
    from distreqx.utils import math

    return (
        math.power_no_nan,
        (array([1.2, 2.0, 3.0]), array([0.3, 2.0, 1.0])),
        lambda x, y: x**y,
    )


def log1mexp():
    from numpyro.distributions.util import log1mexp as rule

    return rule, (array([-1.0, -0.2, -3.0, -0.69]),), lambda x: jnp.log(1 - jnp.exp(x))


def signed_parabolic():
    import rlax

    return rlax.signed_parabolic, (normal(5, scale=3),), None


def stable_sqrt(*numbers):
    def make():
        from kfac_jax._src.utils import math

        return math.stable_sqrt, (array(numbers),), None

    return make


def softmin():
    from ott.math import utils

    return lambda x: utils.softmin(x, 0.5, 1), (normal(3, 5),), None


def softmin_of_gamma():
    from ott.math import utils

    return lambda x, gamma: utils.softmin(x, gamma), (normal(5), array(0.5)), None


def lambertw():
    from ott.math import utils

    return utils.lambertw, (array([0.2, 1.0, 5.0]),), None


# TensorFlow Probability
def tfp_math(name, *args):
    def make():
        import tensorflow_probability.substrates.jax as tfp

        return getattr(tfp.math, name), tuple(map(array, args)), None

    return make


# Bessel functions and the Faddeeva function
def bessel_jn():
    import jaxbessel

    return lambda x: jaxbessel.bessel_jn(3, x), (array([0.5, 2.0, 8.0]),), None


def spherical_bessel():
    import jaxbessel

    return lambda x: jaxbessel.spherical_bessel_jn(2, x), (array([0.5, 2.0, 8.0]),), None


def bessel_over_power():
    import jaxbessel

    return lambda x: jaxbessel.bessel_jv_over_xv(1.5, x), (array([0.5, 2.0, 8.0]),), None


def faddeeva():
    from exojax.special.faddeeva import rewofzx

    return rewofzx, (array(0.7), array(0.4)), None


def voigt():
    from exojax.opacity.lpf.lpf import hjert

    return hjert, (array(0.7), array(0.4)), None


# Astronomy
def rotation_kernel():
    from exojax.postproc.spin_rotation import rotkernel_Gimenez

    return rotkernel_Gimenez, (array([-0.5, 0.1, 0.8]), array(0.3), array(0.2)), None


def light_curve():
    from jaxoplanet.core.limb_dark import light_curve as flux

    return (
        lambda u, b, r: flux(u, b, r),
        (array([0.3, 0.2]), array(0.35), array(0.1)),
        None,
    )


def expansion():
    import jax_cosmo

    def rule(omega, w0, a):
        cosmology = jax_cosmo.Cosmology(
            Omega_c=omega,
            Omega_b=jnp.asarray(0.05, omega.dtype),
            h=jnp.asarray(0.7, omega.dtype),
            n_s=jnp.asarray(0.96, omega.dtype),
            sigma8=jnp.asarray(0.8, omega.dtype),
            Omega_k=jnp.asarray(0.0, omega.dtype),
            w0=w0,
            wa=jnp.asarray(0.0, omega.dtype),
        )
        return jax_cosmo.background.Esqr(cosmology, a)

    return rule, (array(0.25), array(-0.9), array([0.5, 0.8])), None


RULES = [
    Stranger(
        "distrax",
        "multiply_no_nan",
        multiply_no_nan,
        True,
        "It is the product rule. Where y is 0 and x is finite, the slope of y is x.",
    ),
    Stranger(
        "distrax",
        "power_no_nan",
        power_no_nan,
        True,
        "The slopes y x^(y-1) and x^y log(x) are right for positive x, also where y is 0 or 1.",
    ),
    Stranger(
        "distreqx",
        "utils.math.power_no_nan",
        distreqx_power,
        True,
        "The slopes y x^(y-1) and x^y log(x) are right for positive x.",
    ),
    Stranger(
        "numpyro",
        "distributions.util.log1mexp",
        log1mexp,
        True,
        "The slope -1 / expm1(-x) is exp(x) / (exp(x) - 1), which autodiff of the formula gives.",
    ),
    Stranger(
        "rlax",
        "signed_parabolic",
        signed_parabolic,
        True,
        "It is a closed form, smooth away from 0; the gradient equals differences to 1e-10.",
        x64=False,
    ),
    Stranger(
        "kfac-jax",
        "utils.stable_sqrt",
        stable_sqrt(0.3, 2.0, 5.0),
        True,
        "The slope is 1 / (2 sqrt(x)) wherever that is below 1000.",
    ),
    Stranger(
        "kfac-jax",
        "utils.stable_sqrt near 0",
        stable_sqrt(1e-8, 2.0),
        False,
        "At 1e-8 the slope is clipped: it is 1000 instead of 5000.",
    ),
    Stranger(
        "ott-jax",
        "math.utils.softmin",
        softmin,
        True,
        "The gradient of x is the softmax of -x / gamma, and it equals differences to 1e-8.",
    ),
    Stranger(
        "ott-jax",
        "math.utils.softmin, gamma an array",
        softmin_of_gamma,
        False,
        "The gradient of gamma is None, which means 0 to JAX, although the value depends on gamma.",
    ),
    Stranger(
        "ott-jax",
        "math.utils.lambertw",
        lambertw,
        True,
        (
            "The slope is w / ((1 + w) z). Halley's method converges so fast that its tolerance of "
            "1e-8 does no harm; the gradient equals differences to 1e-12."
        ),
    ),
    Stranger(
        "tfp-nightly",
        "math.betaincinv",
        tfp_math("betaincinv", [2.0, 5.0], [3.0, 0.8], [0.6, 0.9]),
        False,
        (
            "The slope of a at (2, 3, 0.6) is wrong by 0.01 %. "
            "Differences and mpmath agree with each other."
        ),
    ),
    Stranger(
        "tfp-nightly",
        "math.bessel_ive",
        tfp_math("bessel_ive", [0.7, 2.0], [1.5, 3.0]),
        False,
        (
            "The slope of the order v is 0 in JAX, although the value depends on v. "
            "The slope of z is right."
        ),
    ),
    Stranger(
        "tfp-nightly",
        "math.igammainv",
        tfp_math("igammainv", [0.7, 2.0, 5.0], [0.2, 0.6, 0.9]),
        True,
        "The gradients equal differences to 1e-11.",
        "right second derivatives of a",
    ),
    Stranger(
        "tfp-nightly",
        "math.owens_t",
        tfp_math("owens_t", [-1.0, 0.2, 2.0], [0.3, 2.0, -0.7]),
        True,
        "The gradients have a closed form and equal differences to 1e-11.",
    ),
    Stranger(
        "jaxbessel",
        "bessel_jn",
        bessel_jn,
        True,
        "The slope is (J_(n-1) - J_(n+1)) / 2, and it equals differences to 1e-12.",
    ),
    Stranger(
        "jaxbessel",
        "spherical_bessel_jn",
        spherical_bessel,
        True,
        "The slope follows a recurrence, and it equals differences to 1e-11.",
    ),
    Stranger(
        "jaxbessel",
        "bessel_jv_over_xv",
        bessel_over_power,
        True,
        "The slope is -x J_(v+1) / x^(v+1), and it equals differences to 1e-11.",
    ),
    Stranger(
        "exojax",
        "special.faddeeva.rewofzx",
        faddeeva,
        False,
        (
            "The backward pass returns 2 (x L + y V) g - 2 / sqrt(pi) for y: "
            "the second term is not multiplied by the cotangent g."
        ),
    ),
    Stranger(
        "exojax",
        "opacity.lpf.lpf.hjert",
        voigt,
        True,
        "It is the Voigt-Hjerting function, and its gradients equal differences to 2e-8.",
    ),
    Stranger(
        "exojax",
        "postproc.spin_rotation.rotkernel_Gimenez",
        rotation_kernel,
        True,
        "It is a closed form, and its gradients equal differences to 1e-12.",
    ),
    Stranger(
        "jaxoplanet",
        "core.limb_dark.light_curve",
        light_curve,
        True,
        "It is a closed form and a quadrature, and its gradients equal differences to 1e-11.",
    ),
    Stranger(
        "jax-cosmo",
        "background.Esqr",
        expansion,
        True,
        "It is a closed form, and its gradients equal differences to 1e-12.",
    ),
]
