"""These rules are distributions, samplers, expectations and Gaussian processes."""

import jax
import jax.numpy as jnp
import numpy as np
from check.strangers.stranger import FIRST_ORDER, Stranger, array, normal, uniform
from jax.lax import stop_gradient
from jax.scipy.special import i0e


def as_sampled(x, cdf, density):
    """The sample x, with the slope under which its cdf stays the same."""
    return x - (cdf - stop_gradient(cdf)) / stop_gradient(density)


# Samplers
def gamma_sample():
    nodes, weights = np.polynomial.legendre.leggauss(80)
    u, w = (nodes + 1) / 2, weights / 2

    def cdf(a, x):  # with s = u**4 in the integral of s**(a-1) exp(-x s) over 0..1
        s = u**4
        body = 4 * u**3 * s ** (a[..., None] - 1) * jnp.exp(-x[..., None] * s)
        return jnp.sum(w * body, -1) * x**a / jnp.exp(jax.lax.lgamma(a))

    def rule(a):
        return jax.random.gamma(jax.random.key(3), a)

    def reference(a):
        x = stop_gradient(rule(a))
        density = jnp.exp((a - 1) * jnp.log(x) - x - jax.lax.lgamma(a))
        return as_sampled(x, cdf(a, x), density).astype(a.dtype)

    return rule, (array([0.8, 1.5, 4.0]),), reference


def von_mises_sample():
    import distrax

    nodes, weights = np.polynomial.legendre.leggauss(60)

    def rule(k):
        return distrax.VonMises(0.0 * k, k).sample(seed=jax.random.PRNGKey(0))

    def density(k, x):
        return jnp.exp(k * (jnp.cos(x) - 1)) / (2 * np.pi * i0e(k))

    def reference(k):
        x = stop_gradient(rule(k))
        inside = density(k[..., None], x[..., None] * (nodes + 1) / 2)
        cdf = jnp.sum(weights * inside, -1) * x / 2  # the integral of the density over 0..x
        return as_sampled(x, cdf, density(k, x)).astype(k.dtype)

    return rule, (array([2.5, 4.0, 0.7]),), reference


# Distribution functions, their inverses and densities
def von_mises_cdf():
    import distrax

    return (
        lambda k, x: distrax.VonMises(0.0 * k, k).cdf(x),
        (array([2.5, 4.0, 0.3]), array([0.4, 0.7, -1.2])),
        None,
    )


def power_law_cdf():
    import numpyro.distributions as dist

    return (
        lambda a, low, high, x: dist.DoublyTruncatedPowerLaw(a, low, high).cdf(x),
        (array(1.5), array(0.5), array(3.0), array([1.2, 2.0])),
        None,
    )


def power_law_icdf():
    import numpyro.distributions as dist

    return (
        lambda a, low, high, x: dist.DoublyTruncatedPowerLaw(a, low, high).icdf(x),
        (array(-2.2), array(0.5), array(3.0), array([0.3, 0.8])),
        None,
    )


def beta_icdf():
    import numpyro.distributions as dist

    return (
        lambda a, b, p: dist.Beta(a, b).icdf(p),
        (array([2.5, 1.5]), array([1.4, 0.7]), array([0.4, 0.8])),
        None,
    )


def beta_cdf():
    import numpyro.distributions as dist

    return lambda a, b: dist.Beta(a, b).cdf(0.2), (array(1.5), array(3.0)), None


def noncentral_chi2():
    import tensorflow_probability.substrates.jax as tfp

    return (
        lambda df, nc, x: tfp.distributions.NoncentralChi2(df, nc).log_prob(x),
        (array([2.5, 4.0]), array([0.4, 0.7]), array([3.0, 4.0])),
        None,
    )


# Bijectors
def distrax_spline():
    import distrax

    def rule(params, x):
        return distrax.RationalQuadraticSpline(params, -1.0, 1.0).forward_and_log_det(x)

    return rule, (normal(3, 13), array([-0.6, 0.1, 1.4])), None


def flowjax_spline():
    import flowjax.bijections

    spline = flowjax.bijections.RationalQuadraticSpline(knots=5, interval=2)
    return lambda s, x: s.transform_and_log_det(x), (spline, array(0.4)), None


# Gaussian processes
def tinygp_likelihood():
    import tinygp

    t = np.sort(uniform(0, 5, 8))

    def rule(s, length, y):
        kernel = s**2 * tinygp.kernels.quasisep.Matern32(length)
        return tinygp.GaussianProcess(
            kernel, jnp.asarray(t, y.dtype), diag=jnp.asarray(0.1, y.dtype)
        ).log_probability(y)

    def reference(s, length, y):
        d = jnp.abs(t[:, None] - t[None]) * jnp.sqrt(3.0) / length
        k = s**2 * (1 + d) * jnp.exp(-d) + 0.1 * jnp.eye(8)
        return (
            -0.5 * y @ jnp.linalg.solve(k, y)
            - 0.5 * jnp.linalg.slogdet(k)[1]
            - 4 * jnp.log(2 * jnp.pi)
        )

    return rule, (array(1.3), array(0.8), normal(8)), reference


def gpjax_kernel():
    import gpjax

    def rule(length, variance, x, y):
        kernel = gpjax.kernels.Matern52(lengthscale=length, variance=variance)
        return kernel.cross_covariance(x, y)

    return rule, (array(0.7), array(1.2), normal(3, 2), normal(2, 2)), None


# Expectations
def perturbed_relu():
    from jaxopt import perturbations

    perturbed = perturbations.make_perturbed_fun(
        lambda x: jnp.maximum(x, 0.0), num_samples=50, sigma=0.3
    )
    return lambda x: perturbed(x, jax.random.PRNGKey(0)), (normal(3),), None


def netket_expectation():
    import netket

    samples = normal(6, 2)
    return (
        lambda p: netket.jax.expect(
            lambda p, s: -0.5 * jnp.sum((s - p) ** 2, -1),
            lambda p, s: jnp.sum(jnp.sin(s * p), -1),
            p,
            jnp.asarray(samples, p.dtype),
        )[0],
        (array([0.3, -0.2]),),
        None,
    )


def netket_expectation_meant():
    rule, args, _ = netket_expectation()
    samples = normal(6, 2)

    def reference(p):  # the mean, and 0 with the slope of the mean of log p times the centred cost
        x = jnp.asarray(samples, p.dtype)
        log_p = -0.5 * jnp.sum((x - p) ** 2, -1)
        cost = jnp.sum(jnp.sin(x * p), -1)
        centred = stop_gradient(cost - jnp.mean(cost))
        return jnp.mean(cost) + jnp.mean(centred * (log_p - stop_gradient(log_p)))

    return rule, args, reference


RULES = [
    Stranger(
        "jax",
        "jax.random.gamma",
        gamma_sample,
        True,
        (
            "The slope of a sample is -(dF/da) / p, where F is the distribution function and p the "
            "density. The reference computes dF/da by quadrature. The rejection sampler itself has "
            "another slope."
        ),
        "second derivatives; the slope of the sampler itself",
        options={"tolerance": 1e-5, "finite_differences": False, "transforms": ("jit",)},
    ),
    Stranger(
        "distrax",
        "VonMises.sample",
        von_mises_sample,
        True,
        (
            "The slope of a sample is -(dF/dk) / p, where F is the distribution function and p the "
            "density. The reference computes dF/dk by quadrature."
        ),
        "second derivatives; the slope of the sampler itself",
        options={"tolerance": 1e-5, "finite_differences": False, "transforms": ("jit",)},
    ),
    Stranger(
        "distrax",
        "VonMises.cdf",
        von_mises_cdf,
        True,
        (
            "Below a concentration of 10.5 the value is a series, and the slope of x is the "
            "density. Both gradients equal differences to 1e-11."
        ),
        "second derivatives for large concentrations",
    ),
    Stranger(
        "numpyro",
        "DoublyTruncatedPowerLaw.cdf",
        power_law_cdf,
        True,
        "The gradients of all four arguments equal differences to 2e-12.",
    ),
    Stranger(
        "numpyro",
        "DoublyTruncatedPowerLaw.icdf",
        power_law_icdf,
        True,
        "The gradients of all four arguments equal differences to 1e-12.",
    ),
    Stranger(
        "numpyro",
        "Beta.icdf",
        beta_icdf,
        True,
        "The gradients are those of the implicit function and equal differences to 1e-11.",
    ),
    Stranger(
        "numpyro",
        "Beta.cdf at integer b",
        beta_cdf,
        False,
        (
            "The power series stops when a term is 0, which happens at n = b for an integer b, "
            "but the derivative has further terms. The slope of b is 0.1044964 instead of "
            "0.1044811, which mpmath gives."
        ),
    ),
    Stranger(
        "tfp-nightly",
        "NoncentralChi2.log_prob",
        noncentral_chi2,
        False,
        (
            "The degrees of freedom are the order of a Bessel function whose slope is taken for 0. "
            "At (4, 0.7, 4) the slope is 0.4357 instead of 0.0592."
        ),
    ),
    Stranger(
        "distrax",
        "RationalQuadraticSpline.forward_and_log_det",
        distrax_spline,
        True,
        (
            "It is plain differentiable code, and its gradients equal differences to 1e-10. "
            "One point lies outside the knots, where the spline is linear."
        ),
        "a derivative of the log-determinant at the knots",
    ),
    Stranger(
        "flowjax",
        "RationalQuadraticSpline.transform_and_log_det",
        flowjax_spline,
        True,
        (
            "It is plain differentiable code with a module as an argument, "
            "and its gradients equal differences to 1e-11."
        ),
    ),
    Stranger(
        "tinygp",
        "GaussianProcess.log_probability, quasisep",
        tinygp_likelihood,
        True,
        "It solves the equations by scans, and the gradients equal those of the dense formula.",
    ),
    Stranger(
        "gpjax",
        "kernels.Matern52.cross_covariance",
        gpjax_kernel,
        True,
        (
            "It is plain differentiable code with a distance that is safe at 0, "
            "and its gradients equal differences to 1e-11."
        ),
    ),
    Stranger(
        "jaxopt",
        "perturbations.make_perturbed_fun",
        perturbed_relu,
        False,
        (
            "The gradient is an estimate from the perturbations, not the derivative of the mean "
            "over these samples, which is a mean of zeros and ones."
        ),
    ),
    Stranger(
        "netket",
        "jax.expect",
        netket_expectation,
        False,
        (
            "The gradient has a further term for the distribution of the samples, "
            "and here the samples are fixed."
        ),
    ),
    Stranger(
        "netket",
        "jax.expect, as meant",
        netket_expectation_meant,
        True,
        "The reference writes out the further term for the distribution of the samples.",
        options={"finite_differences": False, "transforms": FIRST_ORDER},
    ),
]
