"""The multiclass hinge loss: the label's score must exceed all others by a margin."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import (
    Reduction,
    accumulator,
    aligned,
    as_array,
    as_float,
    check_option,
    of_rank,
)
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv.loss._labels import as_classes, as_labels, check_scores, is_integer, one_hot
from jaxconv.loss._reduction import reduce_terms, spread


def multiclass_hinge_loss(
    scores: Shaped[Array, "*examples C"],
    labels: Shaped[Array, "*examples"],
    *,
    margin: float = 1.0,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*examples"]:
    r"""The amount by which the label's score falls short of the best other score plus a margin.

    With s the scores of one example and t its label (Crammer and Singer's hinge):

        r    = the class j ≠ t with the largest s_j, the rival
        ℓ    = max(0, margin + s_r − s_t)
        ds_c = dℓ · ([c = r] − [c = t]) where ℓ > 0, else 0

    with dℓ = dL/n for a mean L over n examples. At the kink margin + s_r = s_t the gradient is
    taken to be 0; if rivals tie, the first of them gets the gradient. With margin 1 this is
    `optax.multiclass_hinge_loss`, except that optax splits the gradient among tied rivals.
    PyTorch's `multi_margin_loss` and CS231n's SVM loss count every rival instead (Weston and
    Watkins): Σ_{j≠t} max(0, margin + s_j − s_t), which PyTorch divides by the number of classes.
    With two classes this sum is the loss here. Saved for the backward pass: labels, and one int
    per example, which is the rival, or −1 where the gradient is 0.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> loss = lambda s: multiclass_hinge_loss(s, jnp.array([0]))
        >>> jax.grad(loss)(jnp.array([[1.0, 2.0, 1.5]])).tolist()
        [[-1.0, 1.0, 0.0]]

    Args:
        scores: s, (…, C).
        labels: t, integers (…) in [0, C). A label outside this range makes the loss and the
            gradient NaN, because a jitted function cannot raise.
        margin: how much larger than all others the label's score has to be.
        reduction: "mean" over the examples (0 if there are none), "sum", or "none" for ℓ of
            every example, (…).

    Returns:
        The loss in the dtype of the scores; 16-bit floats are computed in float32. A NaN among
        the scores of an example makes ℓ NaN and the gradient 0. With a single class ℓ is 0.

    Raises:
        TypeError: scores are not floats, labels are not integers, or margin is not a number.
        ValueError: the shapes do not fit, margin is not finite, or the reduction is unknown.

    The derivation: docs/derivations/loss.md.
    """
    op = "multiclass_hinge_loss"
    scores, labels = as_array(op, "scores", scores), as_labels(op, "labels", labels)
    check_scores(op, "scores", scores)
    if not is_integer(labels):
        raise TypeError(f"{op}: labels must be integers, but their dtype is {labels.dtype}")
    if labels.shape != scores.shape[:-1]:
        raise ValueError(
            f"{op}: labels must have shape {scores.shape[:-1]} for scores of shape"
            f" {scores.shape}, but their shape is {labels.shape}"
        )
    margin = as_float(op, "margin", margin)
    check_option(op, "reduction", reduction, Reduction)
    terms = (scores.shape[-1], margin, reduction)
    return _hinge(terms, *aligned(scores, labels))


def _hinge_forward(
    terms: tuple[int, float, Reduction], s: Array, labels: Array
) -> tuple[Array, tuple[Array, Array]]:
    classes, margin, reduction = terms
    s_wide = s.astype(accumulator(s.dtype))
    t = one_hot(labels, classes, s_wide.dtype)
    # The score is taken at an index; the slope of a maximum would be split among tied rivals.
    rival = jnp.argmax(jnp.where(t == 1, -jnp.inf, s_wide), axis=-1)
    label, _ = as_classes(labels, classes)
    alone = rival.astype(label.dtype) == label  # there is no other class, or all others are −∞
    best = jnp.where(alone, -jnp.inf, _at(rival, s_wide))
    behind = margin + best - _at(label, s_wide)
    each = jnp.where(behind <= 0, 0, behind) + 0 * t[..., 0]  # NaN for a label out of range
    rival = jnp.where(behind > 0, rival.astype(jnp.int32), -1)
    return reduce_terms(reduction, each).astype(s.dtype), (labels, rival)


def _hinge_backward(
    terms: tuple[int, float, Reduction], residuals: tuple[Array, Array], dy: Array
) -> tuple[Array, None]:
    classes, _, reduction = terms
    labels, rival = residuals
    wide = accumulator(dy.dtype)
    d_each = spread(reduction, dy.astype(wide), labels.shape)
    if reduction == "none":
        d_each = d_each[..., None]
    rival = rival[..., None]
    t = one_hot(labels, classes, wide)
    own = of_rank(jnp.arange(classes, dtype=rival.dtype), rival.ndim)
    r = (rival == own).astype(wide)
    return (d_each * (r - jnp.where(rival >= 0, t, 0 * t))).astype(dy.dtype), None


_hinge = Rule(_hinge_forward, _hinge_backward, static=1, name="multiclass_hinge_loss")


def _at(classes: Array, s: Array) -> Array:
    """Return the score of one class per example."""
    return jnp.take_along_axis(s, classes[..., None], axis=-1, mode="clip")[..., 0]
