"""The negative log-likelihood of labels, given log-probabilities."""

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import Reduction, aligned, as_array, check_option
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv.loss._labels import (
    as_labels,
    check_labels,
    check_scores,
    d_target,
    d_weight,
    fit_weights,
    is_integer,
    widened,
)
from jaxconv.loss._reduction import reduce_weighted, spread_weighted, tamed


def nll_loss(
    log_probs: Shaped[Array, "*examples C"],
    labels: Shaped[Array, "*examples"] | Shaped[Array, "*examples C"],
    *,
    weights: Shaped[Array, "*examples"] | Shaped[Array, "*#examples #C"] | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*examples"]:
    r"""The negative log-likelihood: −log_probs at the label.

    With x the log-probabilities of one example and t its label as probabilities (one-hot for
    an integer label):

        ℓ    = −Σ_c w_c · t_c · x_c                          w = 1 without weights

        dx_c = −dℓ · w_c · t_c
        dt_c = −dℓ · w_c · x_c,        dw_c = −dℓ · t_c · x_c

    so the loss is linear in each of them. `nll_loss(log_softmax(z), t)` equals
    `softmax_cross_entropy(z, t)`, which needs no array of log-probabilities.

    The mean divides the summed ℓ by the total weight W = Σ Σ_c w_c · t_c; without weights W is
    the number of examples that count. Since W depends on w and t, a weighted mean L = Σ ℓ / W
    adds −dL·L/W · w_c to dt_c, and −dL·L/W · t_c to dw_c. If W is 0, L and its gradient are 0.

    Saved for the backward pass: labels, weights and W. The log-probabilities are saved only if a
    gradient contains them, which is so with weights or with probabilities as labels.

    Example:
        >>> import jax.numpy as jnp
        >>> float(nll_loss(jnp.log(jnp.array([[0.25, 0.75], [0.5, 0.5]])), jnp.array([0, 1])))
        1.0397207736968994

    Args:
        log_probs: x, (…, C), logarithms of probabilities.
        labels: integers (…) in [0, C), or probabilities (…, C) in the dtype of log_probs. An
            integer outside this range makes the loss and the gradient NaN, because a jitted
            function cannot raise.
        weights: one per class, (C,), as in PyTorch; or one per example, (…) or (…, 1), where (C,)
            always means one per class; or any shape that broadcasts to that of log_probs. In the
            dtype of log_probs.
        ignore_index: the integer label of examples that do not count.
        reduction: "mean", "sum", or "none" for ℓ of every example, (…).

    Returns:
        The loss in the dtype of log_probs; 16-bit floats are summed in float32. An impossible
        class (−∞) adds 0 if its t or w is 0.

    Raises:
        TypeError: log_probs are not floats, labels are neither integers nor floats, or the
            dtypes differ.
        ValueError: the shapes do not fit, an option is unknown, or ignore_index is given with
            probabilities as labels.

    Differs from PyTorch on purpose: classes are on the last axis, not on axis 1; if no example
    counts, the loss is 0 and not NaN; and ignore_index is None by default, not −100.

    The derivation: docs/derivations/loss.md.
    """
    op = "nll_loss"
    log_probs, labels = as_array(op, "log_probs", log_probs), as_labels(op, "labels", labels)
    check_scores(op, "log_probs", log_probs)
    check_option(op, "reduction", reduction, Reduction)
    ignore_index = check_labels(op, "log_probs", log_probs, labels, ignore_index)
    weights = fit_weights(op, "log_probs", log_probs, weights)
    terms = _Terms(log_probs.shape[-1], ignore_index, reduction)
    return _likelihood(terms, *aligned(log_probs, labels, weights))


@dataclass(frozen=True)
class _Terms:
    """The static arguments of the rule."""

    classes: int
    ignore_index: int | None
    reduction: Reduction


_Residuals = tuple[Array | None, Array, Array | None, Array | None, Array | None]
"""x if it is needed, the labels, the weights, the weight of a mean, and the mean."""


def _likelihood_forward(
    terms: _Terms, x: Array, labels: Array, weights: Array | None
) -> tuple[Array, _Residuals]:
    x_wide, t, w, counted = widened(terms.ignore_index, x, labels, weights)
    q = w * t
    each = -jnp.sum(q * tamed(q, x_wide), axis=-1)
    y, weight = reduce_weighted(terms.reduction, each, counted if weights is None else q)
    linear = weights is None and is_integer(labels)
    mean = y if weights is not None and terms.reduction == "mean" else None
    return y.astype(x.dtype), (None if linear else x, labels, weights, weight, mean)


def _likelihood_backward(
    terms: _Terms, residuals: _Residuals, dy: Array
) -> tuple[Array, Array | None, Array | None]:
    x, labels, weights, weight, mean = residuals
    if x is None:
        x = jnp.zeros((*labels.shape, terms.classes), dy.dtype)  # only its shape is used
    x_wide, t, w, _ = widened(terms.ignore_index, x, labels, weights)
    d_each = spread_weighted(dy.astype(x_wide.dtype), weight)
    if terms.reduction == "none":
        d_each = d_each[..., None]

    q = w * t
    dx = jnp.broadcast_to(-d_each * q, x.shape)
    x_wide = tamed(q, x_wide)
    d_labels = None if is_integer(labels) else d_target(labels, d_each, w, x_wide, mean)
    d_weights = None if weights is None else d_weight(weights, d_each, t, x_wide, mean, t)
    return dx.astype(dy.dtype), d_labels, d_weights


_likelihood = Rule(_likelihood_forward, _likelihood_backward, static=1, name="nll_loss")
