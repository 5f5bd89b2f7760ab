"""The fully connected layer."""

import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import NamedSharding

from jaxconv._core.arguments import (
    Precisions,
    accumulator,
    aligned,
    as_array,
    as_precision,
    check_floating,
    of_rank,
)
from jaxconv._core.residuals import Factors, Gradients, factors_for_each_other, is_kept
from jaxconv._core.rule import Primal, Rule
from jaxconv._core.shapes import Shaped


def dense(
    x: Shaped[Array, "*leading in"],
    w: Shaped[Array, "in out"],
    b: Shaped[Array, "out"] | None = None,
) -> Shaped[Array, "*leading out"]:
    r"""Fully connected layer: every output depends on every input.

        y[…, o] = Σ_i x[…, i] · w[i, o] + b[o]

    A small change of w[i, o] changes y[…, o] of every sample, by x[…, i] times as much. A small
    change of x[…, i] changes y[…, o] for every o, by w[i, o] times as much. Each gradient sums dy,
    with these factors, over all outputs that change:

        dx = dy · wᵀ,        dw = xᵀ · dy,        db = Σ dy

    where the sums in dw and db run over all leading axes. Saved for the backward pass: x and w.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x, w, b = jnp.array([[1.0, 2.0]]), jnp.array([[1.0], [10.0]]), jnp.array([0.5])
        >>> dense(x, w, b).tolist()
        [[21.5]]
        >>> jax.grad(lambda x: dense(x, w, b)[0, 0])(x).tolist()
        [[1.0, 10.0]]

    Args:
        x: input, (…, in), with zero or more leading axes.
        w: weights, (in, out).
        b: bias, (out,), or None.

    Returns:
        y, (…, out) in the dtype of x. Sums of 16-bit floats are accumulated in float32.

    Raises:
        TypeError: an argument is not a floating-point array, or its dtype is not that of x.
        ValueError: the shapes do not fit together.

    The derivation: docs/derivations/dense.md.
    """
    x, w = as_array("dense", "x", x), as_array("dense", "w", w)
    b = None if b is None else as_array("dense", "b", b)
    check_floating("dense", x=x, w=w, b=b)
    if w.ndim != 2:
        raise ValueError(f"dense: w must have shape (in, out), but its shape is {w.shape}")
    if w.shape[1] < 1:
        raise ValueError(f"dense: w must have at least 1 output, but its shape is {w.shape}")
    if x.ndim < 1 or x.shape[-1] != w.shape[0]:
        raise ValueError(f"dense: x has shape {x.shape}, but w expects (..., {w.shape[0]})")
    if b is not None and b.shape != (w.shape[1],):
        raise ValueError(f"dense: b must have shape ({w.shape[1]},), but its shape is {b.shape}")
    return _dense(as_precision("dense", None), *aligned(x, w, b))


def _dense_forward(
    precision: Precisions, x: Primal, w: Primal, b: Primal | None
) -> tuple[Array, Factors]:
    y = _product(precision, x.value, w.value, (x.value.ndim - 1,), (0,))
    if b is not None:
        y = y + of_rank(b.value.astype(y.dtype), y.ndim)
    return y.astype(x.value.dtype), factors_for_each_other(x, w, b)


def _dense_backward(precision: Precisions, residuals: Factors, dy: Array) -> Gradients:
    x, w = residuals.x, residuals.w
    leading = tuple(range(dy.ndim - 1))
    dx = dw = db = None
    if is_kept(w):
        dx = _product(precision, dy, w, (dy.ndim - 1,), (1,), residuals.x_sharding).astype(dy.dtype)
    if is_kept(x):
        dw = _product(precision, x, dy, leading, leading, residuals.w_sharding).astype(dy.dtype)
    if residuals.biased:
        db = jnp.sum(dy, axis=leading, dtype=accumulator(dy.dtype)).astype(dy.dtype)
    return dx, dw, db


_dense = Rule(_dense_forward, _dense_backward, static=1, knows_wanted=True)


def _product(
    precision: Precisions,
    left: Array,
    right: Array,
    over: tuple[int, ...],
    and_over: tuple[int, ...],
    sharding: NamedSharding | None = None,
) -> Array:
    """Sum the products over these axes of left and right; 16-bit floats give a float32 sum."""
    return lax.dot_general(
        left,
        right,
        ((over, and_over), ((), ())),
        precision=precision,
        preferred_element_type=accumulator(left.dtype),
        out_sharding=sharding,
    )
