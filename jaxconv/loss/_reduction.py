"""Reduce the terms of a loss to one number, and give its cotangent back to each term."""

import math

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import Reduction, as_array, check_floating, check_option


def check_pair(
    op: str, prediction: object, target: object, reduction: Reduction
) -> tuple[Array, Array]:
    """Return prediction and target as arrays of one shape and one floating dtype, or raise."""
    prediction = as_array(op, "prediction", prediction)
    target = as_array(op, "target", target)
    check_floating(op, prediction=prediction, target=target)
    check_same_shape(op, prediction=prediction, target=target)
    check_option(op, "reduction", reduction, Reduction)
    return prediction, target


def check_same_shape(op: str, **arrays: Array) -> None:
    """Raise unless the second array has the shape of the first; nothing is broadcast."""
    (first, x), (second, t) = arrays.items()
    if t.shape != x.shape:
        raise ValueError(
            f"{op}: {first} has shape {x.shape}, but {second} has {t.shape}"
            " (one shape is expected, nothing is broadcast)"
        )


def reduce_terms(reduction: Reduction, each: Array) -> Array:
    """Return each term, their sum, or their mean, which is 0 if there are no terms."""
    if reduction == "none":
        return each
    total = jnp.sum(each)
    return total / max(each.size, 1) if reduction == "mean" else total


def spread(reduction: Reduction, dy: Array, shape: tuple[int, ...]) -> Array:
    """Return the cotangent of each term of `reduce_terms`, which broadcasts against the terms."""
    return dy / max(math.prod(shape), 1) if reduction == "mean" else dy


def reduce_weighted(
    reduction: Reduction, each: Array, counted: Array
) -> tuple[Array, Array | None]:
    """Reduce the terms, dividing a mean by W = Σ counted; also return W, or None if not a mean."""
    if reduction == "none":
        return each, None
    total = jnp.sum(each)
    if reduction == "sum":
        return total, None
    weight = jnp.sum(counted)
    return divide(total, weight), weight


def spread_weighted(dy: Array, weight: Array | None) -> Array:
    """Return the cotangent of each term of `reduce_weighted`, which also returned this W."""
    return dy if weight is None else divide(dy, weight)


def divide(total: Array, weight: Array) -> Array:
    """Return total / weight, and 0 where the weight is 0."""
    return jnp.where(weight == 0, 0, total / jnp.where(weight == 0, 1, weight))


def tamed(factor: Array, value: Array) -> Array:
    """Return `value`, but 0 where factor · value would be 0 · ∞, so that 0 · log 0 = 0."""
    return jnp.where((factor == 0) & jnp.isinf(value), 0, value)


def sum_to(shape: tuple[int, ...], full: Array) -> Array:
    """Sum `full` over the axes along which an array of this shape was broadcast to it."""
    full = jnp.sum(full, axis=tuple(range(full.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and full.shape[i] != 1)
    return jnp.sum(full, axis=stretched, keepdims=True)


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Return whether an array of this shape broadcasts to the shape `to`."""
    try:
        return jnp.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
