"""The twins of the losses: the same functions, differentiated by JAX."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv.arguments import Reduction, accumulator


def softmax_cross_entropy(
    logits: Array,
    labels: Array,
    *,
    weights: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Array:
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
    if jnp.issubdtype(labels.dtype, jnp.integer):
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
    if reduction == "none":
        return loss.astype(logits.dtype)
    total = jnp.sum(loss)
    if reduction == "mean":
        weight = jnp.sum(counts.astype(dtype)) if weights is None else jnp.sum(w * t)
        total = jnp.where(weight == 0, 0, total / jnp.where(weight == 0, 1, weight))
    return total.astype(logits.dtype)
