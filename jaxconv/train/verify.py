"""Comparison of hand-written gradients with JAX's, on a real batch."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv.models import Model, Params
from jaxconv.train.batch import OPS
from jaxconv.train.step import loss_and_counts


class Comparison(NamedTuple):
    """The errors between two gradients of one parameter."""

    name: str
    shape: tuple[int, ...]
    worst: float
    """Largest |hand − autodiff| / max(|hand|, |autodiff|) of any element, in float64. The
    denominator is at least FLOOR times the largest element of the array."""
    rounding: float
    """Largest error of the hand-written float32 gradient, relative to the largest element."""
    autodiff_rounding: float
    """Largest error of autodiff's float32 gradient, relative to the largest element."""


FLOOR = 1e-6
"""Elements below this, relative to the largest, have lost their digits to cancellation: their
relative error can be anything."""

TOLERANCE = 1e-8
"""The largest `worst` that passes. Rounding gives about 1e-15 of the largest element, and so 1e-9
of an element at FLOOR; a mistake gives far more."""

FLOAT32_TOLERANCE = 0.1
"""The largest `rounding` that passes. It is far above rounding, even where that moves a maximum or
a kink of ReLU to another element."""


class GradientMismatchError(Exception):
    """The hand-written gradient differs from autodiff's."""


def compare_gradients(
    model: Model, params: Params, images: Array, labels: Array
) -> list[Comparison]:
    """Compare both gradients of the loss of this batch, parameter by parameter.

    They are compared in float64, where they must agree up to rounding. Both are also computed
    in float32, and each is measured against autodiff's float64 gradient, which counts as exact
    there.
    """
    narrow = {mode: _gradient(model, mode, params, images, labels) for mode in OPS}
    with jax.enable_x64(True):
        wide_params, wide_images = jax.tree.map(_widen, (params, images))
        wide = {mode: _gradient(model, mode, wide_params, wide_images, labels) for mode in OPS}
    comparisons = []
    for (path, hand), autodiff, *rounded in zip(
        jax.tree.leaves_with_path(wide["hand"]),
        jax.tree.leaves(wide["autodiff"]),
        jax.tree.leaves(narrow["hand"]),
        jax.tree.leaves(narrow["autodiff"]),
        strict=True,
    ):
        scale = np.max(np.abs(autodiff)) or 1.0
        size = np.maximum(np.maximum(np.abs(hand), np.abs(autodiff)), FLOOR * scale)
        with np.errstate(invalid="ignore"):  # an infinite gradient compares as NaN
            worst = np.max(np.abs(hand - autodiff) / size)
            rounding = [float(np.max(np.abs(leaf - autodiff)) / scale) for leaf in rounded]
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        comparisons.append(Comparison(name, hand.shape, float(worst), *rounding))
    return comparisons


def check(comparisons: list[Comparison]) -> Comparison:
    """Return the worst of them; raise GradientMismatchError if it is worse than rounding."""
    worst = max(comparisons, key=lambda c: c.worst if c.worst == c.worst else float("inf"))
    if not worst.worst <= TOLERANCE:
        raise GradientMismatchError(
            f"the hand-written gradient of {worst.name} is off by {worst.worst:.1e} of its value"
            f" in float64, where at most {TOLERANCE:.0e} is expected"
        )
    for c in comparisons:
        if not c.rounding <= FLOAT32_TOLERANCE and c.autodiff_rounding <= FLOAT32_TOLERANCE:
            raise GradientMismatchError(
                f"the hand-written gradient of {c.name} is right in float64, but in float32 off by"
                f" {c.rounding:.1e} of its largest element, autodiff's by {c.autodiff_rounding:.1e}"
            )
    return worst


def _gradient(model: Model, mode: str, params: Params, images: Array, labels: Array) -> Any:
    def objective(params: Params) -> Array:
        return loss_and_counts(model, OPS[mode], params, images, labels)[0]

    return jax.tree.map(np.asarray, jax.jit(jax.grad(objective))(params))


def _widen(leaf: Array) -> Array:
    return jnp.asarray(np.asarray(leaf), jnp.float64)
