"""Wrong gradients of densities, losses and statistics, from public reports."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from check.reported.wrong import TRANSFORMS, Wrong, normal, normals, with_backward, with_residuals
from jax.scipy.special import digamma, gammaln


def mvn_logpdf(x, mean, cov):
    """Log density of a multivariate normal distribution."""
    d = x - mean
    _, logdet = jnp.linalg.slogdet(cov)
    quadratic = d @ jnp.linalg.solve(cov, d)
    return -0.5 * (quadratic + logdet + d.shape[0] * jnp.log(2 * jnp.pi))


def mvn_backward(args, g):
    x, mean, cov = args
    inverse = jnp.linalg.inv(cov)
    d = x - mean
    v = 0.5 * (inverse @ d + inverse.T @ d)
    outer = jnp.outer(inverse.T @ d, inverse.T @ d)
    return -g * v, g * v, -g * 0.5 * (outer - inverse.T)


mvn = with_backward(mvn_logpdf, mvn_backward)


def signs_of(theta):
    return jnp.where(jnp.arange(theta.shape[0]) % 2 == 0, 1.0, -1.0)


def bernoulli_value(theta):
    """Log probability of alternating labels for logits theta."""
    return -jnp.logaddexp(0.0, -signs_of(theta) * theta)


def bernoulli_backward(args, g):
    (theta,) = args
    signs = signs_of(theta)
    ntheta = signs * theta
    p = jnp.exp(-ntheta) / (1 + jnp.exp(-ntheta))
    cutoff = 2.0
    return (g * jnp.where(ntheta > cutoff, -p, signs * p),)


bernoulli = with_backward(bernoulli_value, bernoulli_backward)


def counts_value(n, alpha, beta):
    """Log density of negative binomial counts with one shape and one rate."""
    return (
        gammaln(n + alpha)
        - gammaln(alpha)
        - gammaln(n + 1)
        + alpha * (jnp.log(beta) - jnp.log1p(beta))
        - n * jnp.log1p(beta)
    )


def counts_backward(args, g):
    n, alpha, beta = args
    dn = digamma(n + alpha) - digamma(n + 1) - jnp.log1p(beta)
    digammas = digamma(n[0] + alpha) - digamma(alpha)
    dalpha = jnp.sum(g * (digammas + jnp.log(beta) - jnp.log1p(beta)))
    dbeta = jnp.sum(g * (alpha / beta - (alpha + n) / (1 + beta)))
    return g * dn, dalpha, dbeta


counts = with_backward(counts_value, counts_backward)


def tail_value(alpha, beta):
    """Log density of the counts 0, 1, 2, ... with a shape and a rate for each."""
    n = jnp.arange(alpha.shape[0]) % 5
    return counts_value(n * 1.0, alpha, beta)


def tail_backward(args, g):
    alpha, beta = args
    n = (jnp.arange(alpha.shape[0]) % 5) * 1.0
    dalpha = digamma(n + alpha) - digamma(alpha) + jnp.log(beta) - jnp.log1p(beta)
    dbeta = alpha / beta - (alpha + n) / (1 + beta)
    poisson = alpha > 10.0
    dalpha = jnp.where(poisson, n / alpha - 1 / beta, dalpha)
    dbeta = jnp.where(poisson, alpha / beta**2 - n / beta, dbeta)
    return g * dalpha, g * dbeta


tail = with_backward(tail_value, tail_backward)


def schools_data(theta):
    n = jnp.arange(theta.shape[0])
    return 10 * jnp.cos(n), 9.0 + n % 4


def schools_value(mu, tau, theta):
    """Log posterior of the centred model of schools with a mean and a deviation."""
    y, sigma = schools_data(theta)
    prior = -0.5 * (mu / 5) ** 2 - jnp.log1p((tau / 5) ** 2)
    hierarchy = jnp.sum(-jnp.log(tau) - 0.5 * ((theta - mu) / tau) ** 2)
    return prior + hierarchy + jnp.sum(-0.5 * ((y - theta) / sigma) ** 2)


def schools_backward(args, g):
    mu, tau, theta = args
    y, sigma = schools_data(theta)
    dmu = -mu / 25
    dtau = -2 * tau / (25 + tau**2) + jnp.sum(-1 / tau + (theta - mu) ** 2 / tau**3)
    dtheta = -(theta - mu) / tau**2 + (y - theta) / sigma**2
    return g * dmu, g * dtau, g * dtheta


schools = with_backward(schools_value, schools_backward)


def scaled_fit_value(log_rho, model, data):
    """Log likelihood of data around a model that is scaled by exp(log_rho)."""
    return -0.5 * jnp.sum((data - jnp.exp(log_rho) * model) ** 2)


def scaled_fit_backward(args, g):
    log_rho, model, data = args
    rho = jnp.exp(log_rho)
    r = data - rho * model
    return g * jnp.sum(r * model), g * rho * r, -g * r


scaled_fit = with_backward(scaled_fit_value, scaled_fit_backward)


def distill_parts(student, teacher):
    logq = jax.nn.log_softmax(student)
    p = jax.nn.softmax(teacher)
    labels = jax.nn.one_hot(jnp.arange(student.shape[0]) % student.shape[1], student.shape[1])
    return logq, p, labels


def distill_value(student, teacher):
    """Half the divergence from a teacher and half the cross entropy with labels, summed."""
    logq, p, labels = distill_parts(student, teacher)
    soft = jnp.sum(p * (jax.nn.log_softmax(teacher) - logq))
    hard = -jnp.sum(labels * logq)
    return 0.5 * soft + 0.5 * hard


def distill_backward(args, g):
    student, teacher = args
    logq, p, _ = distill_parts(student, teacher)
    dstudent = 0.5 * g * (jnp.exp(logq) - p)
    ratio = jax.nn.log_softmax(teacher) - logq
    dteacher = 0.5 * g * p * (ratio - jnp.sum(p * ratio, axis=-1, keepdims=True))
    return dstudent, dteacher


distill = with_backward(distill_value, distill_backward)


def entropies_value(logits):
    """Cross entropy of each row with the labels 0, 1, 2, ..."""
    labels = jax.nn.one_hot(jnp.arange(logits.shape[0]) % logits.shape[1], logits.shape[1])
    return -jnp.sum(labels * jax.nn.log_softmax(logits), axis=-1)


entropies = with_backward(entropies_value, lambda args, g: (jnp.zeros_like(args[0]),))


def log_loss_value(p):
    """Mean over the batch of the negative logarithm of the probability of the label."""
    labels = jax.nn.one_hot(jnp.arange(p.shape[0]) % p.shape[1], p.shape[1])
    return -jnp.sum(labels * jnp.log(p)) / p.shape[0]


def log_loss_backward(args, g):
    (p,) = args
    batch_size = p.shape[0]
    labels = jax.nn.one_hot(jnp.arange(batch_size) % p.shape[1], p.shape[1])
    ret = -g * labels / p / batch_size
    return (ret / batch_size,)


log_loss = with_backward(log_loss_value, log_loss_backward)


def log_softmax_value(x):
    """Logarithm of the softmax of each row."""
    return jax.nn.log_softmax(x)


def log_softmax_forward(x):
    y = log_softmax_value(x)
    return y, y


def log_softmax_backward(y, g):
    return (g - jnp.sum(g * y, axis=-1, keepdims=True),)


log_rows = with_residuals(log_softmax_value, log_softmax_forward, log_softmax_backward)


def softmax_rows(x):
    """Softmax of each row."""
    return jax.nn.softmax(x, axis=-1)


copied_softmax = with_backward(softmax_rows, lambda args, g: (g,))


def rosenbrock_value(x, y):
    """The function of Rosenbrock."""
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def rosenbrock_backward(args, g):
    x, y = args
    dx = -400 * x * (y - x**2) - 2 * (1 - x)
    dy = 200 * x * (y - x**2)
    return g * dx, g * dy


rosenbrock = with_backward(rosenbrock_value, rosenbrock_backward)


def regression_value(x, w, b, y):
    """Mean squared error of a linear regression."""
    return jnp.mean((x @ w + b - y) ** 2)


def regression_backward(args, g):
    x, w, b, y = args
    error = x @ w + b - y
    n = x.shape[0]
    return (
        g / n * jnp.outer(error, w),
        g / n * x.T @ error,
        g / n * jnp.sum(error),
        -g / n * error,
    )


regression = with_backward(regression_value, regression_backward)


def divergence_value(log_input, target):
    """Pointwise divergence of a target from log probabilities."""
    return target * (jnp.log(target) - log_input)


def divergence_backward(args, g):
    log_input, target = args
    slope = jax.lax.stop_gradient(jnp.log(target) + 1)
    return -g * target, g * (slope - log_input)


divergence = with_backward(divergence_value, divergence_backward)


def dimming_value(u1, u2, mu):
    """Quadratic limb darkening of a star."""
    return 1 - u1 * (1 - mu) - u2 * (1 - mu) ** 2


def dimming_backward(args, g):
    u1, u2, mu = args
    d = {
        "u1": -(1 - mu) * g,
        "u2": -((1 - mu) ** 2) * g,
        "mu": (u1 + 2 * u2 * (1 - mu)) * g,
    }
    return d["mu"], d["u1"], d["u2"]


dimming = with_backward(dimming_value, dimming_backward)


def _spd(seed, n):
    a = normal(seed, n, n)
    return a @ a.T + n * np.eye(n)


RULES = [
    Wrong(
        "mvn_covariance",
        "HIPS/autograd#412: the vjp of the multivariate normal covariance has the wrong sign",
        mvn,
        (*normals(1, (4,), (4,)), _spd(2, 4)),
        mvn_logpdf,
        "The gradient of the covariance has the wrong sign.",
        ("wrong_sign",),
    ),
    Wrong(
        "bernoulli_tail",
        "stan-dev/math#3397: wrong gradient sign of bernoulli_logit_lpmf beyond the cutoff",
        bernoulli,
        (np.array([2.6, 0.4, -1.2, 3.1, 4.0, -2.7, 0.9, -3.3, 2.2, 1.5]),),
        bernoulli_value,
        "Beyond the cutoff the sign of the label is left out.",
        ("mask_threshold",),
    ),
    Wrong(
        "counts_first",
        "stan-dev/math#1662: only the first count is used in the gradient of a scalar alpha",
        counts,
        (np.array([0.7, 2.0, 3.5, 1.2, 5.0, 4.1]), np.array(1.7), np.array(0.8)),
        counts_value,
        "The gradient of alpha uses the first count for every count.",
        ("wrong_operand",),
    ),
    Wrong(
        "counts_poisson",
        "stan-dev/math#1578: derivatives for large alpha are those of the Poisson approximation",
        tail,
        (
            np.array([0.5, 12.0, 3.0, 25.0, 7.5, 40.0, 1.5, 15.0]),
            np.array([0.8, 1.1, 0.4, 2.0, 0.9, 1.6, 0.7, 3.0]),
        ),
        tail_value,
        "Where alpha is large, the gradients are those of a Poisson density.",
        ("other_derivative", "mask_threshold"),
    ),
    Wrong(
        "schools",
        "pints-team/pints#1136: EightSchoolsLogPDF gives incorrect dL/dmu, a term lacks",
        schools,
        (np.array(1.3), np.array(2.1), 3 * normal(4, 8)),
        schools_value,
        "The gradient of mu lacks the term of the schools.",
        ("step_missing",),
    ),
    Wrong(
        "log_scale",
        "alan-turing-institute/stat-fem#35: a factor of rho is missing as rho is on a log scale",
        scaled_fit,
        (np.array(0.6), *normals(5, (7,), (7,))),
        scaled_fit_value,
        "The gradient of the logarithm of the scale is that of the scale itself.",
        ("step_missing",),
    ),
    Wrong(
        "distill_hard",
        "axolotl-ai-cloud/axolotl#3660: the cross entropy term is dropped from the backward pass",
        distill,
        normals(6, (4, 5), (4, 5)),
        distill_value,
        "The gradient of the student lacks the term of the labels.",
        ("step_missing",),
    ),
    Wrong(
        "entropy_rows",
        "microsoft/DirectML#740: cross_entropy(reduction='none') silently has a zero gradient",
        entropies,
        (normal(7, 4, 5),),
        None,
        "The gradient is zero.",
        ("argument_constant",),
    ),
    Wrong(
        "log_loss",
        "fetchai/ledger#1580: the gradient of the averaged cross entropy is divided once more",
        log_loss,
        (np.random.default_rng(8).uniform(0.1, 0.9, size=(6, 3)),),
        None,
        "The gradient is divided by the size of the batch twice.",
        ("constant_factor",),
    ),
    Wrong(
        "log_softmax",
        "uxlfoundation/oneDNN#616: logsoftmax's backward uses the formula of softmax",
        log_rows,
        (normal(9, 4, 5),),
        log_softmax_value,
        "The sum of dy * y is subtracted instead of exp(y) times the sum of dy.",
        (),
    ),
    Wrong(
        "softmax_copied",
        "pjreddie/darknet#96: the backward pass of softmax copies the gradient of the output",
        copied_softmax,
        (normal(10, 4, 5),),
        softmax_rows,
        "The cotangent is returned as it is.",
        (),
    ),
    Wrong(
        "rosenbrock",
        "pytorch/pytorch#3881: the gradient of rosenbrock is wrong except near one",
        rosenbrock,
        normals(11, (8,), (8,)),
        None,
        "The gradient of the second argument is multiplied by x.",
        ("step_extra",),
    ),
    Wrong(
        "regression_two",
        "patrickloeber/MLfromscratch#18: the factor 2 is left out of the derivatives",
        regression,
        (*normals(12, (6, 3), (3,)), np.array(0.4), normal(13, 6)),
        None,
        "All gradients lack the factor 2.",
        ("constant_factor",),
    ),
    Wrong(
        "divergence_second",
        "pytorch/pytorch#65466: kl_div fails gradgradcheck if the target requires a gradient",
        divergence,
        (normal(14, 6), np.random.default_rng(15).uniform(0.2, 2.0, size=6)),
        divergence_value,
        "Only the second derivative by the target is wrong: it is zero.",
        ("second_order_wrong",),
        TRANSFORMS,
    ),
    Wrong(
        "limb",
        "rodluger/starry#142: the parameter labels in the gradient dictionary are scrambled",
        dimming,
        tuple(np.random.default_rng(16).uniform(0.1, 0.9, size=(3, 8))),
        dimming_value,
        "The gradients are returned under the names of other arguments.",
        ("other_arguments_gradient",),
    ),
]
