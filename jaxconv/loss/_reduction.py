"""From the loss of each term to one number, and its cotangent back to each term."""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import Reduction, as_array, check_floating, check_option


def check_pair(op: str, prediction: Any, target: Any, reduction: Reduction) -> tuple[Array, Array]:
    """Prediction and target as arrays of one shape and one floating dtype."""
    prediction = as_array(op, "prediction", prediction)
    target = as_array(op, "target", target)
    check_floating(op, prediction=prediction, target=target)
    check_same_shape(op, prediction=prediction, target=target)
    check_option(op, "reduction", reduction, Reduction)
    return prediction, target


def check_same_shape(op: str, **arrays: Array) -> None:
    """Raise unless the second array has the shape of the first: nothing is broadcast."""
    (first, x), (second, t) = arrays.items()
    if t.shape != x.shape:
        raise ValueError(
            f"{op}: {first} has shape {x.shape}, but {second} has {t.shape}"
            " (one shape is expected, nothing is broadcast)"
        )


def reduce_terms(reduction: Reduction, each: Array) -> Array:
    """Each term, or their sum, or their mean; no terms have mean 0."""
    if reduction == "none":
        return each
    total = jnp.sum(each)
    return total / max(each.size, 1) if reduction == "mean" else total


def spread(reduction: Reduction, dy: Array, shape: tuple[int, ...]) -> Array:
    """The cotangent of each of the terms that `reduce_terms` reduced; broadcasts against them."""
    return dy / max(math.prod(shape), 1) if reduction == "mean" else dy


def reduce_weighted(
    reduction: Reduction, each: Array, counted: Array
) -> tuple[Array, Array | None]:
    """The same, but a mean divides by the sum W of what counted. W is the second result."""
    if reduction == "none":
        return each, None
    total = jnp.sum(each)
    if reduction == "sum":
        return total, None
    weight = jnp.sum(counted)
    return divide(total, weight), weight


def spread_weighted(dy: Array, weight: Array | None) -> Array:
    """The cotangent of each of the terms that `reduce_weighted` reduced to a mean by this W."""
    return dy if weight is None else divide(dy, weight)


def divide(total: Array, weight: Array) -> Array:
    """total / weight, and 0 where nothing counted."""
    return jnp.where(weight == 0, 0, total / jnp.where(weight == 0, 1, weight))


def tamed(factor: Array, value: Array) -> Array:
    """A value to be multiplied by `factor`: 0 where that would be 0 · ∞, so 0 · log 0 = 0."""
    return jnp.where((factor == 0) & jnp.isinf(value), 0, value)


def sum_to(shape: tuple[int, ...], full: Array) -> Array:
    """Sum over what was broadcast from `shape`."""
    full = jnp.sum(full, axis=tuple(range(full.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and full.shape[i] != 1)
    return jnp.sum(full, axis=stretched, keepdims=True)


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether an array of `shape` fits over one of shape `to` without stretching that."""
    try:
        return jnp.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
