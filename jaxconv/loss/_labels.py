"""Class labels (integers or probabilities), and the weights with which they count."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv._core.arguments import DType, accumulator, as_array, as_int, check_floating, of_rank
from jaxconv.loss._reduction import broadcasts, sum_to


def as_labels(op: str, name: str, value: Array) -> Array:
    """Return the argument `name` as an array of labels, without wrapping integers around.

    Without 64-bit mode JAX would turn 2³² + 1 into 1, which may be a valid label. Here such a label
    stays out of range.
    """
    labels = as_array(op, name, value)
    given = value.dtype
    if given != labels.dtype and jnp.issubdtype(given, jnp.integer):
        held = np.iinfo(labels.dtype)
        labels = jnp.asarray(np.clip(value, held.min, held.max))
    return labels


def is_integer(labels: Array) -> bool:
    """Return whether labels are class indices, and not probabilities."""
    return jnp.issubdtype(labels.dtype, jnp.integer)


def check_scores(op: str, name: str, scores: Array) -> None:
    """Raise unless the scores are floats with at least one class on the last axis."""
    check_floating(op, **{name: scores})
    if scores.ndim < 1 or scores.shape[-1] < 1:
        raise ValueError(f"{op}: {name} must be (..., classes), but their shape is {scores.shape}")


def check_labels(
    op: str, name: str, scores: Array, labels: Array, ignore_index: int | None
) -> int | None:
    """Raise unless the labels fit the scores, called `name`; return ignore_index as an int."""
    integers = is_integer(labels)
    if integers:
        expected = scores.shape[:-1]
        if ignore_index is not None:
            held = jnp.iinfo(labels.dtype)
            ignore_index = as_int(op, "ignore_index", ignore_index, held.min, held.max)
    else:
        if not jnp.issubdtype(labels.dtype, jnp.floating):
            raise TypeError(
                f"{op}: labels must be integers or floating-point probabilities,"
                f" but their dtype is {labels.dtype}"
            )
        expected = scores.shape
        check_floating(op, **{name: scores, "labels": labels})
        if ignore_index is not None:
            raise ValueError(
                f"{op}: ignore_index needs integer labels, but the labels are {labels.dtype}"
            )
    if labels.shape != expected:
        raise ValueError(
            f"{op}: {'integer' if integers else 'probability'} labels must have shape {expected}"
            f" for {name} of shape {scores.shape}, but their shape is {labels.shape}"
        )
    return ignore_index


def fit_weights(op: str, name: str, scores: Array, value: Array | None) -> Array | None:
    """Return the weights, shaped to broadcast against the scores, which are called `name`."""
    if value is None:
        return None
    weights = as_array(op, "weights", value)
    check_floating(op, **{name: scores, "weights": weights})
    *examples, classes = scores.shape
    if weights.shape == tuple(examples) != (classes,):
        weights = weights[..., None]
    if not broadcasts(weights.shape, scores.shape):
        raise ValueError(
            f"{op}: weights must be ({classes},), one per class, or {(*examples, 1)}, one per"
            f" example, for {name} of shape {scores.shape}, but their shape is {weights.shape}"
        )
    return weights


def widened(
    ignore_index: int | None, scores: Array, labels: Array, weights: Array | None
) -> tuple[Array, Array, Array, Array]:
    """Return scores, t and w in the dtype of the sums, and 1 for examples that count, else 0."""
    dtype = accumulator(scores.dtype)
    scores = scores.astype(dtype)
    w = jnp.ones((), dtype) if weights is None else of_rank(weights.astype(dtype), scores.ndim)
    if not is_integer(labels):
        t = labels.astype(dtype)
        return scores, t, w, jnp.ones_like(t[..., :1])
    if ignore_index is None:
        t = one_hot(labels, scores.shape[-1], dtype)
        return scores, t, w, jnp.ones_like(t[..., :1])
    counts = labels != ignore_index
    t = one_hot(jnp.where(counts, labels, 0), scores.shape[-1], dtype)
    counts = counts[..., None]
    scores = jnp.where(counts, scores, 0)  # not even a NaN counts
    return scores, jnp.where(counts, t, 0), w, counts.astype(dtype)


def d_target(
    labels: Array, d_each: Array, w: Array, log_p: Array, mean: Array | None, share: float = 1
) -> Array:
    """Return the gradient of ℓ = −Σ_c w_c · τ_c · log p_c for t, of which τ holds this share.

        dt_c = −dℓ · share · w_c · log p_c

    `mean` is the loss L if the loss is a mean, L = Σ ℓ / W with W = Σ w_c · t_c; otherwise it is
    None. Since W depends on t too, a mean adds −dℓ · L · w_c.
    """
    dt = -d_each * share * w * log_p
    if mean is not None:
        dt = dt - d_each * mean * w
    return jnp.broadcast_to(dt, labels.shape).astype(labels.dtype)


def d_weight(
    weights: Array, d_each: Array, t: Array, log_p: Array, mean: Array | None, tau: Array
) -> Array:
    """Return the gradient of ℓ = −Σ_c w_c · τ_c · log p_c for the weights.

        dw_c = −dℓ · τ_c · log p_c

    summed over the elements to which a weight was broadcast. `mean` is the loss L if the loss is a
    mean, L = Σ ℓ / W with W = Σ w_c · t_c; otherwise it is None. Since W depends on w too, a mean
    adds −dℓ · L · t_c.
    """
    dw = -d_each * tau * log_p
    if mean is not None:
        dw = dw - d_each * mean * t
    return sum_to(weights.shape, dw).astype(weights.dtype)


def one_hot(labels: Array, classes: int, dtype: DType) -> Array:
    """Return 1 for the label's class and 0 for the others; NaN if the label is not a class."""
    label, valid = (array[..., None] for array in as_classes(labels, classes))
    t = (label == of_rank(jnp.arange(classes, dtype=label.dtype), label.ndim)).astype(dtype)
    return t + nan_unless(valid, dtype)


def nan_unless(valid: Array, dtype: DType) -> Array:
    """Return 0 where a label is valid and NaN elsewhere, to be added to a number.

    It is computed as 0/1 or 0/0, so that `jax_debug_nans` reports a NaN only if there is one.
    """
    return 0 / valid.astype(dtype)


def as_classes(labels: Array, classes: int) -> tuple[Array, Array]:
    """Return the labels in a dtype that holds all classes, and which of them are classes."""
    # A narrow dtype may not hold the number of classes: labels of 256 classes fit in uint8.
    label = labels.astype(jnp.int32) if labels.dtype.itemsize < 4 else labels
    return label, (label >= 0) & (label < classes)
