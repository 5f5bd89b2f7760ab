"""The Kullback-Leibler divergence of one distribution from another."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import Reduction, accumulator, aligned
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv.loss._reduction import check_pair, reduce_terms, spread, tamed


def kl_divergence(
    prediction: Shaped[Array, "*shape"],
    target: Shaped[Array, "*shape"],
    *,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    r"""The terms of KL(target ‖ exp(prediction)), which are target·(log target − prediction).

    With x the logarithms of predicted probabilities and t probabilities:

        ℓ  = t · (log t − x),                       0 where t = 0
        dx = −dℓ · t
        dt = dℓ · (log t + 1 − x),                  0 where t = 0

    with dℓ = dL/n for a mean L over n elements. This is PyTorch's `kl_div` with the same
    reductions: the mean is over all elements. The divergence of one distribution is the sum of
    its terms, so `kl_divergence(x, t, reduction="none").sum(-1)` is `optax.kl_divergence(x, t)`,
    and the sum divided by the batch size is PyTorch's "batchmean".

    Where t = 0 the term 0 · log 0 is taken to be 0, even for an impossible class (x = −∞, where
    PyTorch and optax give NaN). dt is taken to be 0 there, although the true slope is −∞
    (PyTorch and optax give NaN). Saved for the backward pass: x and t.

    Example:
        >>> import jax.numpy as jnp
        >>> t = jnp.array([0.5, 0.5, 0.0])
        >>> x = jnp.log(jnp.array([0.25, 0.25, 0.5]))
        >>> float(kl_divergence(x, t, reduction="sum"))  # log 2
        0.6931471824645996

    Args:
        prediction: x, any shape, logarithms of probabilities.
        target: t, probabilities in the shape and dtype of x; nothing is broadcast.
        reduction: "mean" over all elements (0 if there are none), "sum", or "none".

    Returns:
        The loss in the dtype of x. 16-bit floats are computed in float32. A negative
        target gives NaN.

    Raises:
        TypeError: the arguments are not floating-point arrays of one dtype.
        ValueError: their shapes differ, or the reduction is unknown.

    The derivation: docs/derivations/loss.md.
    """
    x, t = check_pair("kl_divergence", prediction, target, reduction)
    return _divergence(reduction, *aligned(x, t))


def _divergence_forward(
    reduction: Reduction, x: Array, t: Array
) -> tuple[Array, tuple[Array, Array]]:
    x_wide, t_wide = _widened(x, t)
    # Where t = 0, the factor 0 keeps a NaN of x and gives t no slope, as in the backward pass.
    each = jnp.where(t == 0, 0 * x_wide, t_wide * (_log(t_wide) - x_wide))
    return reduce_terms(reduction, each).astype(x.dtype), (x, t)


def _divergence_backward(
    reduction: Reduction, residuals: tuple[Array, Array], dy: Array
) -> tuple[Array, Array]:
    x_wide, t_wide = _widened(*residuals)
    d_each = spread(reduction, dy.astype(x_wide.dtype), x_wide.shape)
    dx = -d_each * t_wide
    dt = d_each * jnp.where(t_wide == 0, 0, _log(t_wide) + 1 - x_wide)
    return dx.astype(dy.dtype), dt.astype(dy.dtype)


_divergence = Rule(_divergence_forward, _divergence_backward, static=1, name="kl_divergence")


def _widened(x: Array, t: Array) -> tuple[Array, Array]:
    """Return both in the dtype of the sums, with x = 0 for an impossible class of target 0."""
    wide = accumulator(x.dtype)
    return tamed(t, x.astype(wide)), t.astype(wide)


def _log(t: Array) -> Array:
    """Return log t, and 0 where t = 0."""
    return jnp.log(jnp.where(t == 0, 1, t))
