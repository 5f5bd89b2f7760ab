"""Losses: from scores and labels to one number, and its gradient."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv.arguments import (
    Reduction,
    accumulator,
    aligned,
    as_array,
    as_float,
    as_int,
    check_floating,
    check_option,
)


def softmax_cross_entropy(
    logits: Array,
    labels: Array,
    *,
    weights: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Array:
    r"""−log of the probability that softmax(logits) gives to the labels.

    With z the logits of one example, t its label as probabilities (one-hot for an integer
    label) and C classes:

        p_c = exp(z_c) / Σ_j exp(z_j)
        τ_c = (1 − ε)·t_c + ε/C                              ε = label_smoothing
        ℓ   = −Σ_c w_c · τ_c · log p_c                        w = 1 without weights

    Since ∂ log p_c / ∂z_j = [c = j] − p_j, with the cotangent dℓ and q_c = w_c · τ_c

        dz_j = dℓ · (p_j · Σ_c q_c − q_j)

    which without weights is the famous p − t, for t that sum to 1. Further

        dt_c = −dℓ · (1 − ε) · w_c · log p_c,        dw_c = −dℓ · τ_c · log p_c.

    The mean divides the summed ℓ by W = Σ Σ_c w_c · t_c, the weight that counted, which is
    the number of examples without weights. As W depends on w and t, the mean L = Σ ℓ / W
    adds −dL·L/W · w_c to dt_c, and −dL·L/W · t_c to dw_c. If W is 0, so are L and its gradient.

    Saved for the backward pass: logits, labels, weights, and two numbers an example, m = max z
    and log Σ exp(z − m). They are not added: log p = (z − m) − log Σ exp(z − m) keeps its digits
    however large the logits, z − (m + log Σ exp(z − m)) does not.

    Args:
        logits: z, (…, C).
        labels: integers (…) in [0, C), or probabilities (…, C) in the dtype of the logits. A
            label outside that range gives NaN, loss and gradient: a jitted function cannot raise.
        weights: one per class, (C,), as in PyTorch; or anything that broadcasts against the
            logits, so (…, 1) is one per example; or one per example as (…), unless that reads
            as (C,). In the dtype of the logits.
        label_smoothing: ε in [0, 1], the share of t that is spread evenly over the classes.
        ignore_index: integer label of examples that do not count.
        reduction: "mean", "sum", or "none" for ℓ of every example, (…).

    Returns:
        The loss in the dtype of the logits. 16-bit logits are computed with in float32.

    Raises:
        TypeError: logits no floats, labels neither integers nor floats, or mixed dtypes.
        ValueError: shapes that do not fit, an unknown option, or ignore_index with
            probabilities (give those examples weight 0 instead).

    Differs from PyTorch on purpose: with probabilities *and* weights PyTorch's mean divides by
    the number of examples; here one-hot probabilities and integers give the same loss.

    Example:
        >>> import jax.numpy as jnp
        >>> float(softmax_cross_entropy(jnp.zeros((4, 2)), jnp.array([0, 1, 1, 0])))  # log 2
        0.6931471824645996

    The derivation: docs/derivations/loss.md.
    """
    op = "softmax_cross_entropy"
    logits, labels = as_array(op, "logits", logits), as_array(op, "labels", labels)
    check_floating(op, logits=logits)
    if logits.ndim < 1 or logits.shape[-1] < 1:
        raise ValueError(f"{op}: logits must be (..., classes), but their shape is {logits.shape}")
    check_option(op, "reduction", reduction, Reduction)
    label_smoothing = as_float(op, "label_smoothing", label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{op}: label_smoothing must be in [0, 1], but {label_smoothing!r} came")
    integers = jnp.issubdtype(labels.dtype, jnp.integer)
    if integers:
        expected = logits.shape[:-1]
        if ignore_index is not None:
            held = jnp.iinfo(labels.dtype)
            ignore_index = as_int(op, "ignore_index", ignore_index, held.min, held.max)
    else:
        if not jnp.issubdtype(labels.dtype, jnp.floating):
            raise TypeError(
                f"{op}: labels must be integers or floating-point probabilities,"
                f" but their dtype is {labels.dtype}"
            )
        expected = logits.shape
        check_floating(op, logits=logits, labels=labels)
        if ignore_index is not None:
            raise ValueError(
                f"{op}: ignore_index needs integer labels, but the labels are {labels.dtype}"
            )
    if labels.shape != expected:
        raise ValueError(
            f"{op}: {'integer' if integers else 'probability'} labels must have shape {expected}"
            f" for logits of shape {logits.shape}, but their shape is {labels.shape}"
        )
    if weights is not None:
        weights = _fit_weights(op, logits, as_array(op, "weights", weights))
    terms = _Terms(label_smoothing, ignore_index, reduction)
    return _cross_entropy_compiled(terms, *aligned(logits, labels, weights))


def _fit_weights(op: str, logits: Array, weights: Array) -> Array:
    """The weights, shaped to broadcast against the logits."""
    check_floating(op, logits=logits, weights=weights)
    *examples, classes = logits.shape
    if weights.shape == tuple(examples) != (classes,):
        weights = weights[..., None]
    try:
        fits = jnp.broadcast_shapes(weights.shape, logits.shape) == logits.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{op}: weights must be ({classes},), one per class, or {(*examples, 1)}, one per"
            f" example, for logits of shape {logits.shape}, but their shape is {weights.shape}"
        )
    return weights


@dataclass(frozen=True)
class _Terms:
    """What is static about a cross-entropy."""

    smoothing: float
    ignore_index: int | None
    reduction: Reduction


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _cross_entropy(terms: _Terms, z: Array, labels: Array, weights: Array | None) -> Array:
    return _cross_entropy_forward(terms, z, labels, weights)[0]


def _cross_entropy_forward(
    terms: _Terms, z: Array, labels: Array, weights: Array | None
) -> tuple[Array, Any]:
    z_wide, t, tau, w, counted = _prepare(terms, z, labels, weights)
    # exp must not overflow: shift by the maximum. It cancels, so it has no derivative.
    shift = jax.lax.stop_gradient(jnp.max(z_wide, axis=-1, keepdims=True))
    log_total = jnp.log(jnp.sum(jnp.exp(z_wide - shift), axis=-1, keepdims=True))
    q = w * tau
    y = -jnp.sum(q * _log_p(z_wide - shift - log_total, q), axis=-1)
    weight = None
    if terms.reduction != "none":
        y = jnp.sum(y)
    if terms.reduction == "mean":
        weight = jnp.sum(counted if weights is None else w * t)
        y = _divide(y, weight)
    return y.astype(z.dtype), (z, labels, weights, shift, log_total, weight, y)


def _cross_entropy_backward(terms: _Terms, residuals: Any, dy: Array) -> tuple[Any, Any, Any]:
    z, labels, weights, shift, log_total, weight, y = residuals
    z_wide, t, tau, w, _ = _prepare(terms, z, labels, weights)
    dy = dy.astype(z_wide.dtype)
    # The cotangent of every example's loss, and of the weight the mean divides by.
    d_loss, d_weight = dy, None
    if terms.reduction == "none":
        d_loss = dy[..., None]
    if terms.reduction == "mean":
        d_loss = _divide(dy, weight)
        d_weight = -d_loss * y

    q = w * tau
    log_p = z_wide - shift - log_total
    dz = d_loss * (jnp.exp(log_p) * jnp.sum(q, axis=-1, keepdims=True) - q)

    d_labels = d_weights = None
    log_p = _log_p(log_p, q)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        dt = -d_loss * (1 - terms.smoothing) * w * log_p
        if weights is not None and d_weight is not None:
            dt = dt + d_weight * w
        d_labels = jnp.broadcast_to(dt, t.shape).astype(labels.dtype)
    if weights is not None:
        dw = -d_loss * tau * log_p
        if d_weight is not None:
            dw = dw + d_weight * t
        d_weights = _sum_to(weights.shape, dw).astype(weights.dtype)
    return dz.astype(z.dtype), d_labels, d_weights


_cross_entropy.defvjp(_cross_entropy_forward, _cross_entropy_backward)
_cross_entropy_compiled = jax.jit(_cross_entropy, static_argnums=0, inline=True)


def _prepare(
    terms: _Terms, z: Array, labels: Array, weights: Array | None
) -> tuple[Array, Array, Array, Array, Array]:
    """Logits, t, τ and w in the dtype of the sums, and whether each example counts (1 or 0)."""
    dtype = accumulator(z.dtype)
    z = z.astype(dtype)
    classes = z.shape[-1]
    if jnp.issubdtype(labels.dtype, jnp.integer):
        # A narrow dtype need not hold the number of classes: 256 of them have uint8 labels.
        label = labels[..., None]
        label = label.astype(jnp.int32) if label.dtype.itemsize < 4 else label
        counts = (
            jnp.ones_like(label, bool)
            if terms.ignore_index is None
            else (label != terms.ignore_index)
        )
        t = (label == jnp.arange(classes, dtype=label.dtype)).astype(dtype)
        t = jnp.where((label >= 0) & (label < classes), t, jnp.nan)
        t = jnp.where(counts, t, 0)
        z = jnp.where(counts, z, 0)  # not even a NaN counts
    else:
        t = labels.astype(dtype)
        counts = jnp.ones_like(t[..., :1], bool)
    counted = counts.astype(dtype)
    tau = (1 - terms.smoothing) * t + terms.smoothing / classes * counted
    w = jnp.ones((), dtype) if weights is None else weights.astype(dtype)
    return z, t, tau, w, counted


def _log_p(log_p: Array, q: Array) -> Array:
    """log p, but 0 for an impossible class that no label asks for: 0 · log 0 = 0."""
    return jnp.where((q == 0) & jnp.isneginf(log_p), 0, log_p)


def _divide(total: Array, weight: Array) -> Array:
    """total / weight, and 0 where nothing counted."""
    return jnp.where(weight == 0, 0, total / jnp.where(weight == 0, 1, weight))


def _sum_to(shape: tuple[int, ...], full: Array) -> Array:
    """Sum over what was broadcast from `shape`."""
    full = jnp.sum(full, axis=tuple(range(full.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and full.shape[i] != 1)
    return jnp.sum(full, axis=stretched, keepdims=True)
