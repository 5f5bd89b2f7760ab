"""Softmax cross-entropy: the loss of the logits of several classes."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import (
    Reduction,
    aligned,
    as_array,
    as_float,
    check_option,
)
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
from jaxconv.loss._picked import picked
from jaxconv.loss._reduction import reduce_weighted, spread_weighted, tamed


def softmax_cross_entropy(
    logits: Shaped[Array, "*examples C"],
    labels: Shaped[Array, "*examples"] | Shaped[Array, "*examples C"],
    *,
    weights: Shaped[Array, "*examples"] | Shaped[Array, "*#examples #C"] | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*examples"]:
    r"""Cross-entropy: −log of the probability that softmax(logits) gives to the labels.

    With z the logits of one example, t its label as probabilities (one-hot for an integer
    label) and C classes:

        p_c = exp(z_c) / Σ_j exp(z_j)
        τ_c = (1 − ε)·t_c + ε/C                              ε = label_smoothing
        ℓ   = −Σ_c w_c · τ_c · log p_c                        w = 1 without weights

    Since ∂ log p_c / ∂z_j = [c = j] − p_j, with the cotangent dℓ and q_c = w_c · τ_c

        dz_j = dℓ · (p_j · Σ_c q_c − q_j)

    Without weights, and if t sums to 1, this is dℓ · (p − τ), and without label smoothing dℓ
    times the well-known p − t. Further

        dt_c = −dℓ · (1 − ε) · w_c · log p_c,        dw_c = −dℓ · τ_c · log p_c.

    The mean divides the summed ℓ by the total weight W = Σ Σ_c w_c · t_c; without weights W is
    the number of examples that count. Since W depends on w and t, a weighted mean L = Σ ℓ / W
    adds −dL·L/W · w_c to dt_c, and −dL·L/W · t_c to dw_c. If W is 0, L and its gradient are 0.

    Saved for the backward pass: logits, labels, weights if any, and two numbers per example,
    m = max z and log Σ exp(z − m). These two are not added up, because
    log p = (z − m) − log Σ exp(z − m) keeps its digits however large the logits are, whereas
    z − (m + log Σ exp(z − m)) does not.

    Example:
        >>> import jax.numpy as jnp
        >>> float(softmax_cross_entropy(jnp.zeros((4, 2)), jnp.array([0, 1, 1, 0])))  # log 2
        0.6931471824645996

    Args:
        logits: z, (…, C).
        labels: integers (…) in [0, C), or probabilities (…, C) in the dtype of the logits. An
            integer outside this range makes the loss and the gradient NaN, because a jitted
            function cannot raise.
        weights: one per class, (C,), as in PyTorch; or one per example, (…) or (…, 1), where (C,)
            always means one per class; or any shape that broadcasts to that of the logits. In the
            dtype of the logits.
        label_smoothing: ε in [0, 1], the share of t that is spread evenly over the classes.
        ignore_index: the integer label of examples that do not count. (A weight of 0 does not
            hide logits that are NaN, because 0 · NaN is NaN; this does.)
        reduction: "mean", "sum", or "none" for ℓ of every example, (…).

    Returns:
        The loss in the dtype of the logits. 16-bit logits are computed in float32.

    Raises:
        TypeError: logits are not floats, labels are neither integers nor floats, or the dtypes
            differ.
        ValueError: the shapes do not fit, an option is unknown, or ignore_index is given with
            probabilities as labels (use a weight of 0 for those examples instead).

    Differs from PyTorch on purpose: with probabilities *and* weights PyTorch's mean divides by
    the number of examples; here one-hot probabilities and integers give the same loss.

    The derivation: docs/derivations/loss.md.
    """
    op = "softmax_cross_entropy"
    logits, labels = as_array(op, "logits", logits), as_labels(op, "labels", labels)
    check_scores(op, "logits", logits)
    check_option(op, "reduction", reduction, Reduction)
    label_smoothing = as_float(op, "label_smoothing", label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{op}: label_smoothing must be in [0, 1], but got {label_smoothing!r}")
    ignore_index = check_labels(op, "logits", logits, labels, ignore_index)
    weights = fit_weights(op, "logits", logits, weights)
    if _is_picked(logits, labels, weights, label_smoothing):
        return picked(ignore_index, reduction, *aligned(logits, labels))
    terms = _Terms(label_smoothing, ignore_index, reduction)
    return _cross_entropy(terms, *aligned(logits, labels, weights))


def _is_picked(z: Array, labels: Array, weights: Array | None, smoothing: float) -> bool:
    """Return whether the loss needs one log-probability per example, which can be picked.

    On a mesh with Explicit axes it is not picked, because JAX would have to be told its sharding.
    """
    explicit = any(jax.typeof(array).sharding.mesh.explicit_axes for array in (z, labels))
    return is_integer(labels) and weights is None and not smoothing and not explicit


@dataclass(frozen=True)
class _Terms:
    """The static arguments of the rule."""

    smoothing: float
    ignore_index: int | None
    reduction: Reduction


_Residuals = tuple[Array, Array, Array | None, Array, Array, Array | None, Array | None]
"""z, the labels, the weights, m, log Σ exp(z − m), the weight of a mean, and the mean."""


def _cross_entropy_forward(
    terms: _Terms, z: Array, labels: Array, weights: Array | None
) -> tuple[Array, _Residuals]:
    z_wide, t, w, counted = widened(terms.ignore_index, z, labels, weights)
    # A shift by the maximum keeps exp from overflowing. It cancels, so it needs no derivative.
    shift = jax.lax.stop_gradient(jnp.max(z_wide, axis=-1, keepdims=True))
    log_total = jnp.log(jnp.sum(jnp.exp(z_wide - shift), axis=-1, keepdims=True))
    q = w * _smooth(terms, t, counted)
    each = -jnp.sum(q * tamed(q, z_wide - shift - log_total), axis=-1)
    y, weight = reduce_weighted(terms.reduction, each, counted if weights is None else w * t)
    mean = y if weights is not None and terms.reduction == "mean" else None
    return y.astype(z.dtype), (z, labels, weights, shift, log_total, weight, mean)


def _cross_entropy_backward(
    terms: _Terms, residuals: _Residuals, dy: Array
) -> tuple[Array, Array | None, Array | None]:
    z, labels, weights, shift, log_total, weight, mean = residuals
    z_wide, t, w, counted = widened(terms.ignore_index, z, labels, weights)
    d_each = spread_weighted(dy.astype(z_wide.dtype), weight)
    if terms.reduction == "none":
        d_each = d_each[..., None]

    tau = _smooth(terms, t, counted)
    q = w * tau
    log_p = z_wide - shift - log_total
    dz = d_each * (jnp.exp(log_p) * jnp.sum(q, axis=-1, keepdims=True) - q)

    log_p, share = tamed(q, log_p), 1 - terms.smoothing
    d_labels = None if is_integer(labels) else d_target(labels, d_each, w, log_p, mean, share)
    d_weights = None if weights is None else d_weight(weights, d_each, t, log_p, mean, tau)
    return dz.astype(z.dtype), d_labels, d_weights


_cross_entropy = Rule(
    _cross_entropy_forward, _cross_entropy_backward, static=1, name="softmax_cross_entropy"
)


def _smooth(terms: _Terms, t: Array, counted: Array) -> Array:
    """Return τ, in which a share of t is spread evenly over the classes."""
    return (1 - terms.smoothing) * t + terms.smoothing / t.shape[-1] * counted
