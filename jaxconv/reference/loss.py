"""Reference implementations of the losses, differentiated by JAX."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import DType, Reduction, accumulator
from jaxconv._core.shapes import Shaped

__all__ = [
    "focal_loss",
    "huber_loss",
    "kl_divergence",
    "l2_loss",
    "mean_absolute_error",
    "mean_squared_error",
    "multiclass_hinge_loss",
    "nll_loss",
    "sigmoid_binary_cross_entropy",
    "softmax_cross_entropy",
]


def softmax_cross_entropy(
    logits: Shaped[Array, "*examples C"],
    labels: Shaped[Array, "*examples"] | Shaped[Array, "*examples C"],
    *,
    weights: Shaped[Array, "*examples"] | Shaped[Array, "*#examples #C"] | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*examples"]:
    """See `jaxconv.softmax_cross_entropy`."""
    dtype = accumulator(logits.dtype)
    *examples, classes = logits.shape
    if weights is None:
        w = jnp.ones(logits.shape, dtype)
    else:
        if weights.shape == tuple(examples) != (classes,):
            weights = weights[..., None]
        w = jnp.broadcast_to(weights, logits.shape).astype(dtype)
    counts = jnp.ones(examples, bool)
    if jnp.issubdtype(labels.dtype, jnp.integer):
        labels = labels.astype(jnp.int32) if labels.dtype.itemsize < 4 else labels
        if ignore_index is not None:
            counts = labels != ignore_index
        t = jax.nn.one_hot(labels, classes, dtype=dtype)
        t = jnp.where(((labels >= 0) & (labels < classes))[..., None], t, jnp.nan)
        t = jnp.where(counts[..., None], t, 0)
    else:
        t = labels.astype(dtype)
    smooth = (1 - label_smoothing) * t + label_smoothing * counts[..., None].astype(dtype) / classes
    log_p = jax.nn.log_softmax(jnp.where(counts[..., None], logits.astype(dtype), 0))
    log_p = jnp.where(jnp.isneginf(log_p) & (w * smooth == 0), 0, log_p)
    loss = -jnp.sum(w * smooth * log_p, axis=-1)
    counted = counts.astype(dtype) if weights is None else w * t
    return _weighted(reduction, loss, counted).astype(logits.dtype)


def nll_loss(
    log_probs: Shaped[Array, "*examples C"],
    labels: Shaped[Array, "*examples"] | Shaped[Array, "*examples C"],
    *,
    weights: Shaped[Array, "*examples"] | Shaped[Array, "*#examples #C"] | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*examples"]:
    """See `jaxconv.nll_loss`."""
    dtype = accumulator(log_probs.dtype)
    *examples, classes = log_probs.shape
    counts = jnp.ones(examples, bool)
    if jnp.issubdtype(labels.dtype, jnp.integer):
        labels = labels.astype(jnp.int32) if labels.dtype.itemsize < 4 else labels
        if ignore_index is not None:
            counts = labels != ignore_index
        t = jax.nn.one_hot(labels, classes, dtype=dtype)
        t = jnp.where(((labels >= 0) & (labels < classes))[..., None], t, jnp.nan)
        t = jnp.where(counts[..., None], t, 0)
    else:
        t = labels.astype(dtype)
    if weights is None:
        w = jnp.ones(log_probs.shape, dtype)
    else:
        if weights.shape == tuple(examples) != (classes,):
            weights = weights[..., None]
        w = jnp.broadcast_to(weights, log_probs.shape).astype(dtype)
    x = jnp.where(counts[..., None], log_probs.astype(dtype), 0)
    x = jnp.where(jnp.isneginf(x) & (w * t == 0), 0, x)
    loss = -jnp.sum(w * t * x, axis=-1)
    counted = counts.astype(dtype) if weights is None else w * t
    return _weighted(reduction, loss, counted).astype(log_probs.dtype)


def sigmoid_binary_cross_entropy(
    logits: Shaped[Array, "*shape"],
    labels: Shaped[Array, "*shape"],
    *,
    weights: Shaped[Array, "*#shape"] | None = None,
    pos_weight: Shaped[Array, "*#shape"] | None = None,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    """See `jaxconv.sigmoid_binary_cross_entropy`."""
    dtype = accumulator(logits.dtype)
    z, t = logits.astype(dtype), _labels(labels, dtype)
    p, w = (
        jnp.broadcast_to(jnp.ones((), dtype) if a is None else a.astype(dtype), z.shape)
        for a in (pos_weight, weights)
    )
    loss = -w * (p * t * jax.nn.log_sigmoid(z) + (1 - t) * jax.nn.log_sigmoid(-z))
    return _weighted(reduction, loss, w).astype(logits.dtype)


def focal_loss(
    prediction: Shaped[Array, "*shape"],
    target: Shaped[Array, "*shape"],
    *,
    gamma: float = 2.0,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    """See `jaxconv.focal_loss`."""
    dtype = accumulator(prediction.dtype)
    z, t = prediction.astype(dtype), _labels(target, dtype)
    entropy = -t * jax.nn.log_sigmoid(z) - (1 - t) * jax.nn.log_sigmoid(-z)
    wrong = t * jax.nn.sigmoid(-z) + (1 - t) * jax.nn.sigmoid(z)
    return _reduced(reduction, wrong**gamma * entropy).astype(prediction.dtype)


def mean_squared_error(
    prediction: Shaped[Array, "*shape"],
    target: Shaped[Array, "*shape"],
    *,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    """See `jaxconv.mean_squared_error`."""
    return _reduced(reduction, _difference(prediction, target) ** 2).astype(prediction.dtype)


def l2_loss(
    prediction: Shaped[Array, "*shape"],
    target: Shaped[Array, "*shape"],
    *,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    """See `jaxconv.l2_loss`."""
    return _reduced(reduction, 0.5 * _difference(prediction, target) ** 2).astype(prediction.dtype)


def mean_absolute_error(
    prediction: Shaped[Array, "*shape"],
    target: Shaped[Array, "*shape"],
    *,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    """See `jaxconv.mean_absolute_error`."""
    r = _difference(prediction, target)
    distance = jnp.where(r == 0, 0, jnp.abs(r))  # JAX takes 1 as the slope of abs at 0
    return _reduced(reduction, distance).astype(prediction.dtype)


def huber_loss(
    prediction: Shaped[Array, "*shape"],
    target: Shaped[Array, "*shape"],
    *,
    delta: float = 1.0,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    """See `jaxconv.huber_loss`."""
    r = _difference(prediction, target)
    straight = delta * (jnp.abs(r) - 0.5 * delta)
    loss = jnp.where(jnp.abs(r) <= delta, 0.5 * r**2, straight)
    return _reduced(reduction, loss).astype(prediction.dtype)


def kl_divergence(
    prediction: Shaped[Array, "*shape"],
    target: Shaped[Array, "*shape"],
    *,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    """See `jaxconv.kl_divergence`."""
    dtype = accumulator(prediction.dtype)
    x, t = prediction.astype(dtype), target.astype(dtype)
    x = jnp.where(jnp.isinf(x) & (t == 0), 0, x)
    present = jnp.where(t == 0, 1, t)
    terms = jnp.where(t == 0, 0 * x, present * (jnp.log(present) - x))
    return _reduced(reduction, terms).astype(prediction.dtype)


def multiclass_hinge_loss(
    scores: Shaped[Array, "*examples C"],
    labels: Shaped[Array, "*examples"],
    *,
    margin: float = 1.0,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*examples"]:
    """See `jaxconv.multiclass_hinge_loss`."""
    s = scores.astype(accumulator(scores.dtype))
    classes = s.shape[-1]
    label = labels.astype(jnp.int32) if labels.dtype.itemsize < 4 else labels
    others = jnp.where(jax.nn.one_hot(label, classes, dtype=bool), -jnp.inf, s)
    rival = jnp.argmax(others, axis=-1)[..., None]
    own = jnp.take_along_axis(s, jnp.clip(label, 0, classes - 1)[..., None], axis=-1)
    behind = margin + jnp.take_along_axis(others, rival, axis=-1) - own
    loss = jax.nn.relu(behind)[..., 0]
    loss = jnp.where((label >= 0) & (label < classes), loss, jnp.nan)
    return _reduced(reduction, loss).astype(scores.dtype)


def _difference(prediction: Array, target: Array) -> Array:
    dtype = accumulator(prediction.dtype)
    return prediction.astype(dtype) - target.astype(dtype)


def _labels(labels: Array, dtype: DType) -> Array:
    t = labels.astype(dtype)
    if jnp.issubdtype(labels.dtype, jnp.integer):
        t = jnp.where((labels == 0) | (labels == 1), t, jnp.nan)
    return t


def _reduced(reduction: Reduction, terms: Array) -> Array:
    if reduction == "none":
        return terms
    return jnp.sum(terms) / max(terms.size, 1) if reduction == "mean" else jnp.sum(terms)


def _weighted(reduction: Reduction, terms: Array, counted: Array) -> Array:
    if reduction == "none":
        return terms
    total = jnp.sum(terms)
    if reduction == "mean":
        weight = jnp.sum(counted)
        total = jnp.where(weight == 0, 0, total / jnp.where(weight == 0, 1, weight))
    return total
