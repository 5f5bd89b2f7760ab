"""Losses of yes-or-no labels with one logit each: binary cross-entropy and focal loss."""

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import (
    Reduction,
    accumulator,
    aligned,
    as_array,
    as_float,
    check_floating,
    check_option,
    of_rank,
)
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv.loss._labels import is_integer, nan_unless
from jaxconv.loss._reduction import (
    broadcasts,
    check_same_shape,
    divide,
    reduce_terms,
    reduce_weighted,
    spread,
    sum_to,
    tamed,
)


def sigmoid_binary_cross_entropy(
    logits: Shaped[Array, "*shape"],
    labels: Shaped[Array, "*shape"],
    *,
    weights: Shaped[Array, "*#shape"] | None = None,
    pos_weight: Shaped[Array, "*#shape"] | None = None,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    r"""Binary cross-entropy: −log of the probability that sigmoid(logits) gives to the labels.

    With z a logit, t its label in [0, 1] and σ the sigmoid:

        ℓ  = −w · (p·t · log σ(z) + (1 − t) · log σ(−z))      w = 1, p = 1 if not given

        dz = dℓ · w · ((1 − t)·σ(z) − p·t·σ(−z))
        dt = dℓ · w · (log σ(−z) − p · log σ(z))
        dw = −dℓ · (p·t · log σ(z) + (1 − t) · log σ(−z))
        dp = −dℓ · w·t · log σ(z)

    where p is pos_weight; without it dz is dℓ·w·(σ(z) − t). dz is computed as two terms, because
    1 − σ(z) would lose digits that σ(−z) has. −log σ(z) = softplus(−z) neither overflows nor
    loses digits.

    The mean divides the summed ℓ by W, the sum of w over all elements; without weights W is
    their number. Since W depends on w, a weighted mean L adds −dL·L/W to dw. If W is 0, L and
    its gradient are 0. pos_weight is not part of W.

    Saved for the backward pass: the array arguments, and for a weighted mean L and W.

    Example:
        >>> import jax.numpy as jnp
        >>> float(sigmoid_binary_cross_entropy(jnp.zeros(4), jnp.array([0, 1, 1, 0])))  # log 2
        0.6931471824645996

    Args:
        logits: z, any shape.
        labels: t in the shape of the logits: floats in [0, 1] (not checked) in their dtype,
            booleans, or integers. Integers other than 0 and 1 make loss and gradient NaN.
        weights: w, in the dtype of the logits, of a shape that broadcasts to theirs.
        pos_weight: p, of such a dtype and shape too: how much more a label of 1 counts than one
            of 0.
        reduction: "mean", "sum", or "none".

    Returns:
        The loss in the dtype of the logits. 16-bit logits are computed in float32. A certain
        and correct prediction, z = ±∞, adds 0 (in PyTorch and optax NaN).

    Raises:
        TypeError: an argument is not an array, the logits are not floats, or the dtypes differ.
        ValueError: the shapes do not fit, or the reduction is unknown.

    Differs from PyTorch on purpose: PyTorch's mean divides by the number of elements even with
    weights.

    The derivation: docs/derivations/loss.md.
    """
    op = "sigmoid_binary_cross_entropy"
    logits = as_array(op, "logits", logits)
    labels = _as_labels(op, "logits", logits, "labels", labels)
    weights = _as_factor(op, "weights", logits, weights)
    pos_weight = _as_factor(op, "pos_weight", logits, pos_weight)
    check_option(op, "reduction", reduction, Reduction)
    return _binary(reduction, *aligned(logits, labels, weights, pos_weight))


_Residuals = tuple[Array, Array, Array | None, Array | None, Array | None, Array | None]
"""z, the labels, the weights, pos_weight, the weight of a mean, and the mean."""


def _binary_forward(
    reduction: Reduction, z: Array, labels: Array, weights: Array | None, pos: Array | None
) -> tuple[Array, _Residuals]:
    z_wide, t, w, p = _widened(z, labels, weights, pos)
    _, _, cost_1, cost_0 = _outcomes(z_wide, w * p * t, w * (1 - t))
    each = w * (p * t * cost_1 + (1 - t) * cost_0)
    if weights is None:
        y, weight = reduce_terms(reduction, each), None
    else:
        y, weight = reduce_weighted(reduction, each, jnp.broadcast_to(w, z.shape))
    mean = None if weight is None else y
    return y.astype(z.dtype), (z, labels, weights, pos, weight, mean)


def _binary_backward(
    reduction: Reduction, residuals: _Residuals, dy: Array
) -> tuple[Array, Array | None, Array | None, Array | None]:
    z, labels, weights, pos, weight, mean = residuals
    z_wide, t, w, p = _widened(z, labels, weights, pos)
    d_each = dy.astype(z_wide.dtype)
    d_each = spread(reduction, d_each, z.shape) if weight is None else divide(d_each, weight)
    yes, no, cost_1, cost_0 = _outcomes(z_wide, w * p * t, w * (1 - t))
    dz = d_each * w * ((1 - t) * yes - p * t * no)

    d_labels = d_weights = d_pos = None
    if jnp.issubdtype(labels.dtype, jnp.floating):
        d_labels = (d_each * w * (p * cost_1 - cost_0)).astype(labels.dtype)
    if weights is not None:
        dw = d_each * (p * t * cost_1 + (1 - t) * cost_0)
        if mean is not None:
            dw = dw - d_each * mean
        d_weights = sum_to(weights.shape, dw).astype(weights.dtype)
    if pos is not None:
        d_pos = sum_to(pos.shape, d_each * w * t * cost_1).astype(pos.dtype)
    return dz.astype(z.dtype), d_labels, d_weights, d_pos


_binary = Rule(_binary_forward, _binary_backward, static=1, name="sigmoid_binary_cross_entropy")


def focal_loss(
    prediction: Shaped[Array, "*shape"],
    target: Shaped[Array, "*shape"],
    *,
    gamma: float = 2.0,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    r"""Focal loss: binary cross-entropy in which confident correct predictions count less.

    With z a logit, t its label in [0, 1], σ the sigmoid and γ = gamma:

        ℓ₀ = −t · log σ(z) − (1 − t) · log σ(−z)              binary cross-entropy
        u  = t·σ(−z) + (1 − t)·σ(z)                           how wrong the prediction is
        ℓ  = u^γ · ℓ₀

        dz = dℓ · u^γ · ((1 − t)·σ(z) − t·σ(−z) + γ·ℓ₀ · (1 − 2·t)·v),    v = σ(z)·σ(−z) / u
        dt = dℓ · u^γ · (log σ(−z) − log σ(z) + γ·ℓ₀ · (σ(−z) − σ(z)) / u)

    with dℓ = dL/n for a mean L over n elements. v is computed as
    1 / (t/σ(z) + (1 − t)/σ(−z)), because u may underflow to 0. For labels of 0 and 1 this is
    `sigmoid_focal_loss` of torchvision and optax without alpha, and with γ = 0 it is
    `sigmoid_binary_cross_entropy`.

    Saved for the backward pass: z and t.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(focal_loss(jnp.array([2.0, -1.0]), jnp.array([1.0, 0.0]))), 4)
        0.0122

    Args:
        prediction: z, logits of any shape.
        target: t in the shape of z: floats in [0, 1] (not checked) in its dtype, booleans, or
            integers. Integers other than 0 and 1 make loss and gradient NaN.
        gamma: γ ≥ 0; the larger it is, the less easy examples count.
        reduction: "mean" over all elements (0 if there are none), "sum", or "none".

    Returns:
        The loss in the dtype of z. 16-bit logits are computed in float32. A certain prediction,
        z = ±∞, adds 0 if it is correct and ∞ if it is wrong.

    Raises:
        TypeError: an argument is not an array, prediction is not of floats, the dtypes differ,
            or gamma is not a number.
        ValueError: the shapes differ, gamma is negative or not finite, or the reduction is
            unknown.

    The derivation: docs/derivations/loss.md.
    """
    op = "focal_loss"
    prediction = as_array(op, "prediction", prediction)
    target = _as_labels(op, "prediction", prediction, "target", target)
    gamma = as_float(op, "gamma", gamma)
    if gamma < 0:
        raise ValueError(f"{op}: gamma must be at least 0, but got {gamma!r}")
    check_option(op, "reduction", reduction, Reduction)
    return _focal(gamma, reduction, *aligned(prediction, target))


def _focal_forward(
    gamma: float, reduction: Reduction, z: Array, labels: Array
) -> tuple[Array, tuple[Array, Array]]:
    z_wide, t, _, _ = _widened(z, labels, None, None)
    yes, no, cost_1, cost_0 = _outcomes(z_wide, t, 1 - t)
    wrong = t * no + (1 - t) * yes
    each = _power(wrong, gamma) * (t * cost_1 + (1 - t) * cost_0)
    return reduce_terms(reduction, each).astype(z.dtype), (z, labels)


def _focal_backward(
    gamma: float, reduction: Reduction, residuals: tuple[Array, Array], dy: Array
) -> tuple[Array, Array | None]:
    z, labels = residuals
    z_wide, t, _, _ = _widened(z, labels, None, None)
    d_each = spread(reduction, dy.astype(z_wide.dtype), z.shape)
    yes, no, cost_1, cost_0 = _outcomes(z_wide, t, 1 - t)
    cost = t * cost_1 + (1 - t) * cost_0
    wrong = t * no + (1 - t) * yes
    d_each = d_each * _power(wrong, gamma)

    v = 1 / (t * tamed(t, 1 / yes) + (1 - t) * tamed(1 - t, 1 / no))
    dz = d_each * ((1 - t) * yes - t * no + gamma * tamed(v, cost) * (1 - 2 * t) * v)
    d_labels = None
    if jnp.issubdtype(labels.dtype, jnp.floating):
        # Where u underflows ℓ₀ does so too, and their ratio is 1, because log(1 + ε) ≈ ε.
        ratio = jnp.where(wrong == 0, 1, cost / jnp.where(wrong == 0, 1, wrong))
        dt = d_each * (cost_1 - cost_0 + gamma * ratio * (no - yes))
        d_labels = dt.astype(labels.dtype)
    return dz.astype(z.dtype), d_labels


_focal = Rule(_focal_forward, _focal_backward, static=2, name="focal_loss")


def _as_labels(op: str, scores: str, z: Array, name: str, value: object) -> Array:
    """Return the labels `name` of the logits `scores`: floats of their dtype, ints or bools."""
    labels = as_array(op, name, value)
    integers = labels.dtype == bool or is_integer(labels)
    check_floating(op, **{scores: z, name: None if integers else labels})
    check_same_shape(op, **{scores: z, name: labels})
    return labels


def _as_factor(op: str, name: str, z: Array, value: object) -> Array | None:
    """Return the weights `name`, or raise unless they broadcast to the shape of the logits."""
    if value is None:
        return None
    factor = as_array(op, name, value)
    check_floating(op, **{"logits": z, name: factor})
    if not broadcasts(factor.shape, z.shape):
        raise ValueError(
            f"{op}: {name} must broadcast against logits of shape {z.shape},"
            f" but its shape is {factor.shape}"
        )
    return factor


def _widened(
    z: Array, labels: Array, weights: Array | None, pos: Array | None
) -> tuple[Array, Array, Array, Array]:
    """Return z, t, w and p in the dtype of the sums."""
    dtype = accumulator(z.dtype)
    t = labels.astype(dtype)
    if is_integer(labels):
        t = t + nan_unless((labels == 0) | (labels == 1), t.dtype)
    w, p = (
        jnp.ones((), dtype) if f is None else of_rank(f.astype(dtype), z.ndim)
        for f in (weights, pos)
    )
    return z.astype(dtype), t, w, p


def _outcomes(z: Array, q_1: Array, q_0: Array) -> tuple[Array, Array, Array, Array]:
    """Return σ(z), σ(−z), −log σ(z) and −log σ(−z), computed from one exponential.

    The last two are the losses for labels 1 and 0. The caller multiplies them by q₁ and q₀, so they
    are 0 where that would be 0 · ∞.
    """
    # |z| and max(z, 0) are spelt out so that at z = 0 all derivatives are those of the same side,
    # which makes their sum right.
    negative = z < 0
    e = jnp.exp(jnp.where(negative, z, -z))
    likely, unlikely, log = 1 / (1 + e), e / (1 + e), jnp.log1p(e)
    return (
        jnp.where(negative, unlikely, likely),
        jnp.where(negative, likely, unlikely),
        tamed(q_1, log + jnp.where(negative, -z, 0)),
        tamed(q_0, log + jnp.where(negative, 0, z)),
    )


def _power(u: Array, gamma: float) -> Array:
    """Return u^γ; a whole exponent needs no logarithm."""
    return u ** int(gamma) if gamma.is_integer() else u**gamma
