"""Both gradients of a batch's loss, parameter by parameter."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv.models import Model, Params, Variables
from jaxconv.train.batch import OPS
from jaxconv.train.loss import Answers, counted

FLOOR = 1e-6
"""Elements below this, relative to the largest of any parameter, have lost their digits to
cancellation: their relative error can be anything. The gradient of a bias before batch norm is 0:
what is computed of it is rounding."""


class Comparison(NamedTuple):
    """The errors between two gradients of one parameter."""

    name: str
    shape: tuple[int, ...]
    worst: float
    """Largest |hand − autodiff| / max(|hand|, |autodiff|) of any element, in float64. The
    denominator is at least FLOOR times the largest element of the whole gradient."""
    rounding: float
    """Largest error of the hand-written float32 gradient, relative to the largest element."""
    autodiff_rounding: float
    """Largest error of autodiff's float32 gradient, relative to the largest element."""


def compare_gradients(
    model: Model, variables: Variables, images: Array, labels: Array
) -> list[Comparison]:
    """Compare both gradients of the loss of this batch, parameter by parameter.

    They are compared in float64, where they must agree up to rounding. Both are also computed
    in float32, and each is measured against autodiff's float64 gradient, which counts as exact
    there.
    """
    narrow = {mode: _gradient(model, mode, variables, images, labels) for mode in OPS}
    with jax.enable_x64(True):
        wide_variables, wide_images = jax.tree.map(_widen, (variables, images))
        wide = {mode: _gradient(model, mode, wide_variables, wide_images, labels) for mode in OPS}
    largest = max(float(np.max(np.abs(leaf))) for leaf in jax.tree.leaves(wide["autodiff"])) or 1.0
    comparisons = []
    for (path, hand), autodiff, *rounded in zip(
        jax.tree.leaves_with_path(wide["hand"]),
        jax.tree.leaves(wide["autodiff"]),
        jax.tree.leaves(narrow["hand"]),
        jax.tree.leaves(narrow["autodiff"]),
        strict=True,
    ):
        scale = np.max(np.abs(autodiff)) or 1.0
        size = np.maximum(np.maximum(np.abs(hand), np.abs(autodiff)), FLOOR * largest)
        with np.errstate(invalid="ignore"):  # an infinite gradient compares as NaN
            worst = np.max(np.abs(hand - autodiff) / size)
            rounding = [float(np.max(np.abs(leaf - autodiff)) / scale) for leaf in rounded]
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        comparisons.append(Comparison(name, hand.shape, float(worst), *rounding))
    return comparisons


def _gradient(
    model: Model, mode: str, variables: Variables, images: Array, labels: Array
) -> Params:
    """Return the gradient in training; what drops at random drops the same in both modes."""

    def objective(params: Params) -> Array:
        counts, _ = counted(
            model,
            OPS[mode],
            variables._replace(params=params),
            images,
            Answers(labels),
            train=True,
            key=jax.random.key(0),
        )
        return counts.loss / counts.weight

    return jax.tree.map(np.asarray, jax.jit(jax.grad(objective))(variables.params))


def _widen(leaf: Array) -> Array:
    is_float = jnp.issubdtype(leaf.dtype, jnp.floating)
    return jnp.asarray(np.asarray(leaf), jnp.float64 if is_float else leaf.dtype)
