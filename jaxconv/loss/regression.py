"""Losses of the difference between prediction and target: squared, absolute and Huber loss."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import Reduction, accumulator, aligned, as_float
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv.loss._reduction import check_pair, reduce_terms, spread

# One rule serves all four losses. Each is a function f of r = x − t and comes with its slope f′.
# Since ∂f/∂x = f′(r) and ∂f/∂t = −f′(r), the backward pass needs only the slope.


def mean_squared_error(
    prediction: Shaped[Array, "*shape"],
    target: Shaped[Array, "*shape"],
    *,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    r"""The squared error (prediction − target)², by default its mean over all elements.

        ℓ  = (x − t)²
        dx = 2 · dℓ · (x − t),        dt = −dx

    with dℓ = dL/n for a mean L over n elements. Saved for the backward pass: 2·(x − t).

    Example:
        >>> import jax.numpy as jnp
        >>> float(mean_squared_error(jnp.array([1.0, 5.0]), jnp.array([2.0, 3.0])))
        2.5

    Args:
        prediction: x, any shape.
        target: t, in the shape and dtype of x; nothing is broadcast.
        reduction: "mean" over all elements (0 if there are none), "sum", or "none".

    Returns:
        The loss in the dtype of x. 16-bit floats are computed in float32.

    Raises:
        TypeError: the arguments are not floating-point arrays of one dtype.
        ValueError: their shapes differ, or the reduction is unknown.

    The derivation: docs/derivations/loss.md.
    """
    x, t = check_pair("mean_squared_error", prediction, target, reduction)
    return _of_difference(_square, 1.0, reduction, *aligned(x, t))


def l2_loss(
    prediction: Shaped[Array, "*shape"],
    target: Shaped[Array, "*shape"],
    *,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    r"""Half the squared error (prediction − target)², by default its mean over all elements.

        ℓ  = ½ · (x − t)²
        dx = dℓ · (x − t),        dt = −dx

    with dℓ = dL/n for a mean L over n elements. The ½ cancels the 2 of the derivative.
    Saved for the backward pass: x − t.

    Example:
        >>> import jax.numpy as jnp
        >>> float(l2_loss(jnp.array([1.0, 3.0]), jnp.zeros(2)))
        2.5

    Args:
        prediction: x, any shape.
        target: t, in the shape and dtype of x; nothing is broadcast.
        reduction: "mean" over all elements (0 if there are none), "sum", or "none", which is
            `optax.l2_loss`.

    Returns:
        The loss in the dtype of x. 16-bit floats are computed in float32.

    Raises:
        TypeError: the arguments are not floating-point arrays of one dtype.
        ValueError: their shapes differ, or the reduction is unknown.

    The derivation: docs/derivations/loss.md.
    """
    x, t = check_pair("l2_loss", prediction, target, reduction)
    return _of_difference(_square, 0.5, reduction, *aligned(x, t))


def mean_absolute_error(
    prediction: Shaped[Array, "*shape"],
    target: Shaped[Array, "*shape"],
    *,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    r"""The absolute error |prediction − target|, by default its mean over all elements.

        ℓ  = |x − t|
        dx = dℓ · sign(x − t),        dt = −dx

    with dℓ = dL/n for a mean L over n elements. At the kink x = t the gradient is taken to be 0,
    as in PyTorch; that of `jnp.abs` is 1. Saved for the backward pass: the sign, one byte per
    element.

    Example:
        >>> import jax.numpy as jnp
        >>> float(mean_absolute_error(jnp.array([1.0, -3.0]), jnp.zeros(2)))
        2.0

    Args:
        prediction: x, any shape.
        target: t, in the shape and dtype of x; nothing is broadcast.
        reduction: "mean" over all elements (0 if there are none), "sum", or "none".

    Returns:
        The loss in the dtype of x; 16-bit floats are summed in float32. A NaN makes the loss
        NaN, and its own gradient 0, as in PyTorch.

    Raises:
        TypeError: the arguments are not floating-point arrays of one dtype.
        ValueError: their shapes differ, or the reduction is unknown.

    The derivation: docs/derivations/loss.md.
    """
    x, t = check_pair("mean_absolute_error", prediction, target, reduction)
    return _of_difference(_absolute, 1.0, reduction, *aligned(x, t))


def huber_loss(
    prediction: Shaped[Array, "*shape"],
    target: Shaped[Array, "*shape"],
    *,
    delta: float = 1.0,
    reduction: Reduction = "mean",
) -> Shaped[Array, ""] | Shaped[Array, "*shape"]:
    r"""The Huber loss, quadratic up to a difference of delta and linear beyond, by default a mean.

        r  = x − t
        s  = r where |r| ≤ δ, else δ · sign(r)
        ℓ  = s · (r − ½·s)                     ½·r² inside, δ·(|r| − ½·δ) outside
        dx = dℓ · s,        dt = −dx

    with dℓ = dL/n for a mean L over n elements, so s is the r of `l2_loss` clipped to [−δ, δ].
    The pieces meet with the same slope, so there is no kink. The second derivative jumps from 1
    to 0, and is taken to be 1 at |r| = δ. Saved for the backward pass: s.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> float(huber_loss(jnp.array([0.5, 3.0]), jnp.zeros(2)))
        1.3125
        >>> jax.grad(huber_loss)(jnp.array([0.5, 3.0]), jnp.zeros(2)).tolist()
        [0.25, 0.5]

    Args:
        prediction: x, any shape.
        target: t, in the shape and dtype of x; nothing is broadcast.
        delta: δ > 0, the largest |r| of the quadratic piece.
        reduction: "mean" over all elements (0 if there are none), "sum", or "none".

    Returns:
        The loss in the dtype of x. 16-bit floats are computed in float32. A NaN makes the
        loss and its own gradient NaN.

    Raises:
        TypeError: prediction and target are not floating-point arrays of one dtype, or delta is
            not a number.
        ValueError: the shapes differ, delta is not positive or not finite, or the reduction is
            unknown.

    The derivation: docs/derivations/loss.md.
    """
    x, t = check_pair("huber_loss", prediction, target, reduction)
    delta = as_float("huber_loss", "delta", delta)
    if delta <= 0:
        raise ValueError(f"huber_loss: delta must be positive, but got {delta!r}")
    return _of_difference(_huber, delta, reduction, *aligned(x, t))


Curve = Callable[[float, Array], tuple[Array, Array]]
"""A function from a constant and r to f(r) and f′(r)."""


def _square(scale: float, r: Array) -> tuple[Array, Array]:
    return scale * r * r, 2 * scale * r


def _absolute(scale: float, r: Array) -> tuple[Array, Array]:
    sign = (r > 0).astype(jnp.int8) - (r < 0).astype(jnp.int8)
    return scale * (r * sign.astype(r.dtype)), sign


def _huber(delta: float, r: Array) -> tuple[Array, Array]:
    slope = jnp.where(jnp.abs(r) <= delta, r, delta * jnp.sign(r))
    return slope * (r - 0.5 * slope), slope


def _of_difference_forward(
    curve: Curve, constant: float, reduction: Reduction, x: Array, t: Array
) -> tuple[Array, Array]:
    wide = accumulator(x.dtype)
    each, slope = curve(constant, x.astype(wide) - t.astype(wide))
    return reduce_terms(reduction, each).astype(x.dtype), slope


def _of_difference_backward(
    curve: Curve, constant: float, reduction: Reduction, slope: Array, dy: Array
) -> tuple[Array, Array]:
    wide = accumulator(dy.dtype)
    d_each = spread(reduction, dy.astype(wide), slope.shape)
    dx = (d_each * slope.astype(wide)).astype(dy.dtype)
    return dx, -dx


_of_difference = Rule(
    _of_difference_forward, _of_difference_backward, static=3, name="a loss of prediction − target"
)
