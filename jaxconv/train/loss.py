"""The loss of a batch, and what is counted beside it."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import DType
from jaxconv.models import Model, State, Variables
from jaxconv.train.batch import NO_IMAGE


class Counts(NamedTuple):
    """The sums over a batch: arrays inside a jitted function, numbers outside.

    Attributes:
        images: how many there are.
        loss: the cross-entropies, each times the weight of its class.
        weight: the weights.
        correct: how many images are taken for what they are.
    """

    images: Any
    loss: Any
    weight: Any
    correct: Any


class Answers(NamedTuple):
    """What the images of a batch show.

    Attributes:
        labels: (N,), NO_IMAGE where there is none.
        others: (N,), the labels of the images that these are mixed with; None without mixing.
        share: how much of an image is its own; None without mixing.
    """

    labels: Any
    others: Any = None
    share: Any = None


def counted(
    model: Model,
    ops: ModuleType,
    variables: Variables,
    images: Array,
    answers: Answers,
    precision: str = "float32",
    label_smoothing: float = 0.0,
    weights: Array | None = None,
    *,
    train: bool = False,
    key: Array | None = None,
) -> tuple[Counts, State]:
    """Return the sums over a batch, and the state of the network after it.

    With a precision of bfloat16, parameters and images are rounded to it and the logits are
    computed in it; the gradients have the original dtypes of the parameters and images.

    Args:
        model: the network.
        ops: jaxconv, or its reference.
        variables: the parameters and the state of the network.
        images: (N, H, W, C).
        answers: what they show.
        precision: float32 or bfloat16.
        label_smoothing: this share of each label is spread over all classes.
        weights: (classes,), how much an image of each class counts; None means 1.
        train: whether the network is trained on the batch, or evaluated.
        key: what the network draws with in training.
    """
    params, state = variables
    narrow = precision == "bfloat16"
    if narrow:
        params, images = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), (params, images))
    logits, state = model.apply(params, state, images, train=train, key=key, ops=ops)
    if narrow:
        logits = logits.astype(jnp.float32)
    if weights is not None:
        weights = weights.astype(logits.dtype)

    def entropy(labels: Array) -> Array:
        return ops.softmax_cross_entropy(
            logits,
            labels,
            weights=weights,
            ignore_index=NO_IMAGE,
            label_smoothing=label_smoothing,
            reduction="sum",
        )

    loss = _shared(answers, entropy(answers.labels), entropy)
    found = jnp.argmax(logits, axis=-1).astype(answers.labels.dtype)
    present = answers.labels != NO_IMAGE
    correct = jnp.sum((found == answers.labels) & present)
    counts = Counts(jnp.sum(present), loss, weight_of(answers, logits.dtype, weights), correct)
    return counts, state


def weight_of(answers: Answers, dtype: DType, weights: Array | None = None) -> Array:
    """Return the weights of all images of a batch, summed."""

    def weight(labels: Array) -> Array:
        each = 1 if weights is None else weights[labels]
        return jnp.sum(jnp.where(labels == NO_IMAGE, 0, each), dtype=dtype)

    return _shared(answers, weight(answers.labels), weight)


def _shared(answers: Answers, own: Array, of: Callable[[Array], Array]) -> Array:
    """Return `own`, or, if images are mixed, the two numbers by their shares."""
    if answers.others is None:
        return own
    return answers.share * own + (1 - answers.share) * of(answers.others)
