"""How far one distribution is from another."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import Reduction, accumulator, aligned
from jaxconv._core.rule import Rule
from jaxconv.loss._reduction import check_pair, reduce_terms, spread, tamed


def kl_divergence(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    r"""target·(log target − prediction), elementwise: the terms of KL(target ‖ exp(prediction)).

    With x the logarithms of predicted probabilities and t probabilities:

        ℓ  = t · (log t − x),                       0 where t = 0
        dx = −dℓ · t
        dt = dℓ · (log t + 1 − x),                  0 where t = 0

    with dℓ = dL/n for a mean L over n elements. This is PyTorch's `kl_div`, reductions too:
    the mean is over elements. The divergence of one distribution is the sum of its terms, so
    `kl_divergence(x, t, reduction="none").sum(-1)` is `optax.kl_divergence(x, t)`, and the
    sum over the batch size is PyTorch's "batchmean".

    Where t = 0 the term is 0 · log 0 = 0, even for an impossible class (x = −∞, NaN in PyTorch
    and optax), and t has no gradient there: its slope is −∞ (PyTorch and optax: NaN).
    Saved for the backward pass: x and t.

    Example:
        >>> import jax.numpy as jnp
        >>> t = jnp.array([0.5, 0.5, 0.0])
        >>> x = jnp.log(jnp.array([0.25, 0.25, 0.5]))
        >>> float(kl_divergence(x, t, reduction="sum"))  # log 2
        0.6931471824645996

    Args:
        prediction: x, any shape, logarithms of probabilities.
        target: t, in the shape and dtype of x, probabilities: nothing is broadcast.
        reduction: "mean" over all elements (0 if there are none), "sum", or "none".

    Returns:
        The loss in the dtype of x. 16-bit floats are computed with in float32. A negative
        target gives NaN.

    Raises:
        TypeError: no arrays of floats, or two dtypes.
        ValueError: two shapes, or an unknown reduction.

    The derivation: docs/derivations/loss.md.
    """
    x, t = check_pair("kl_divergence", prediction, target, reduction)
    return _divergence(reduction, *aligned(x, t))


def _divergence_forward(
    reduction: Reduction, x: Array, t: Array
) -> tuple[Array, tuple[Array, Array]]:
    x_wide, t_wide = _widened(x, t)
    # Where t = 0 a factor of 0 keeps a NaN of x, and no slope for t, as in the rule.
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
    """Both in the dtype of the sums; x is 0 for an impossible class that no target asks for."""
    wide = accumulator(x.dtype)
    return tamed(t, x.astype(wide)), t.astype(wide)


def _log(t: Array) -> Array:
    """log t, and 0 where t = 0."""
    return jnp.log(jnp.where(t == 0, 1, t))
