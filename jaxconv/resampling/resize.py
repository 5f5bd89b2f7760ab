"""Change the size of images: upsample and resize."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv._core.arguments import (
    IntOrInts,
    Layout,
    ResizeMethod,
    UpsampleMethod,
    accumulator,
    as_bool,
    check_option,
    per_dimension,
)
from jaxconv._core.geometry import Ints, check_positions
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv._core.windows import pairwise_sum
from jaxconv.resampling._rows import Rows, as_image, product, transposed

# At most this many copies are added one by one, in one loop over all dimensions. A reduction would
# read its operand from memory: 2×2, 32×32×32×64, takes 0.30 ms so and 0.39 ms by reduction.
FEW_COPIES = 8


def upsample(
    x: Shaped[Array, "N *spatial C"],
    factor: IntOrInts,
    *,
    method: UpsampleMethod = "nearest",
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *spatial_out C"]:
    r"""Enlarge x by a whole number r: `resize` from n to r·n positions.

        nearest   y[n, r·p + a, c] = x[n, p, c],                             0 ≤ a < r
        linear    y[n, i, c] = (1 − t_i)·x[n, p_i, c] + t_i·x[n, p_i + 1, c]

                  dx[n, p, c] = Σ_i A[i, p] · dy[n, i, c]

    where A[i, p] is the weight of x[p] in y[i]. For "nearest", dx[p] is the sum of dy over the
    copies of x[p]. For "linear", positions are the centres of pixels, so y[i] lies at the position
    p_i + t_i = (i + ½)/r − ½ of x, or at the border of x if that is outside. Several dimensions are
    resized one after the other (bilinear, trilinear). Nothing is saved for the backward pass. NaN
    and ∞ reach only those y[i] that have a weight on them.

    PyTorch: `F.interpolate(scale_factor=r)` with mode "nearest", or "linear", "bilinear" or
    "trilinear" and align_corners=False. JAX: `jax.image.resize`.

    Example:
        >>> import jax.numpy as jnp
        >>> upsample(jnp.array([[[1.0], [5.0]]]), 2, method="linear")[0, :, 0].tolist()
        [1.0, 2.0, 4.0, 5.0]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions, none of them empty.
        factor: r, an int or one per spatial dimension.
        method: "nearest" or "linear".
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, *(r·spatial), C) in the layout and dtype of x.

    Raises:
        TypeError: x is not a floating-point array, or a factor is not an int.
        ValueError: a factor is less than 1, x is empty, or an option is unknown.

    The derivation: docs/derivations/resampling.md.
    """
    x, axes, _ = as_image("upsample", x, layout)
    check_positions("upsample", x, axes)
    check_option("upsample", "method", method, UpsampleMethod)
    factors = per_dimension("upsample", "factor", factor, len(axes), 1)
    size = tuple(x.shape[axis] for axis in axes)
    larger = tuple(n * r for n, r in zip(size, factors, strict=True))
    return _resize(_Grid(axes, size, larger, method, False), x)


def resize(
    x: Shaped[Array, "N *spatial C"],
    size: IntOrInts,
    *,
    method: ResizeMethod = "nearest",
    align_corners: bool = False,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *size C"]:
    r"""Resize an image from n to o positions along each dimension.

        y[n, i, c]  = Σ_p A[i, p] · x[n, p, c]

        dx[n, p, c] = Σ_i A[i, p] · dy[n, i, c]

    along each dimension, one after the other. y[i] lies at

        p_i + t_i = (i + ½)·n/o − ½          in [0, n − 1], or at its border if outside
        p_i + t_i = i·(n − 1)/(o − 1)        align_corners=True (0 if o = 1)

    of x, where p_i is a whole number and 0 ≤ t_i < 1. The weights are

        linear         A[i, p_i] = 1 − t_i,  A[i, p_i + 1] = t_i
        nearest        A[i, ⌊(i + ½)·n/o⌋] = 1
        nearest_floor  A[i, ⌊i·n/o⌋] = 1

    Positions are computed with whole numbers, so no rounding error moves a pixel. Nothing is saved
    for the backward pass. Elements with the weight 0 are ignored, so NaN and ∞ reach only those
    y[i] that have a weight on them. An x[p] without any weight (possible if o < n) has the
    gradient 0.

    In PyTorch's `F.interpolate(size=…)`, "linear" is called "linear", "bilinear" or "trilinear",
    "nearest" is called "nearest-exact", and "nearest_floor" is called "nearest". The last one takes
    the first pixel of each cell, not the middle one (`x[:, ::s]` for n = s·o). JAX's
    `jax.image.resize` averages if it makes an image smaller linearly (unless antialias=False);
    PyTorch and jaxconv do not.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[[0.0], [3.0]]])
        >>> resize(x, 4, method="linear", align_corners=True)[0, :, 0].tolist()
        [0.0, 1.0, 2.0, 3.0]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions, none of them empty.
        size: o, an int or one per spatial dimension.
        method: "nearest", "nearest_floor" or "linear".
        align_corners: whether the first and last positions of y lie on those of x; only for
            "linear".
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, *size, C) in the layout and dtype of x.

    Raises:
        TypeError: x is not a floating-point array, a size is not an int, or align_corners is not
            a bool.
        ValueError: a size is less than 1, x is empty, an option is unknown, or align_corners is
            used without "linear".

    The derivation: docs/derivations/resampling.md.
    """
    x, axes, _ = as_image("resize", x, layout)
    check_positions("resize", x, axes)
    check_option("resize", "method", method, ResizeMethod)
    output = per_dimension("resize", "size", size, len(axes), 1)
    align_corners = as_bool("resize", "align_corners", align_corners)
    if align_corners and method != "linear":
        raise ValueError(f"resize: align_corners=True needs method 'linear', but got {method!r}")
    before = tuple(x.shape[axis] for axis in axes)
    return _resize(_Grid(axes, before, output, method, align_corners), x)


class _Grid(NamedTuple):
    """The static geometry: spatial axes, sizes before and after, and how positions map."""

    axes: Ints
    size: Ints
    output: Ints
    method: ResizeMethod
    align_corners: bool


def _resized(g: _Grid, x: Array) -> Array:
    if _copies_equally(g):
        for axis, n, o in zip(g.axes, g.size, g.output, strict=True):
            x = jnp.repeat(x, o // n, axis)
        return x
    y = x.astype(accumulator(x.dtype))
    for axis, rows in zip(g.axes, _weights(g), strict=True):
        y = product(rows, y, axis)
    return y.astype(x.dtype)


def _resize_forward(g: _Grid, x: Array) -> tuple[Array, None]:
    return _resized(g, x), None


def _resize_backward(g: _Grid, residuals: None, dy: Array) -> tuple[Array]:
    dx = dy.astype(accumulator(dy.dtype))
    if not all(isinstance(n, int) for n in g.size):
        # With symbols (`jax.export`) the tables of A are not known, so JAX transposes the product.
        like = jnp.zeros([_before(g, axis, n) for axis, n in enumerate(dx.shape)], dx.dtype)
        return (jax.vjp(partial(_resized, g), like)[1](dx)[0].astype(dy.dtype),)
    if _copies_equally(g):
        return (_sum_of_copies(g, dx).astype(dy.dtype),)
    for axis, rows, n in reversed(list(zip(g.axes, _weights(g), g.size, strict=True))):
        dx = product(transposed(rows, n), dx, axis)
    return (dx.astype(dy.dtype),)


def _before(g: _Grid, axis: int, n: int) -> int:
    """Return the size of this axis of x if its size in y is n."""
    return g.size[g.axes.index(axis)] if axis in g.axes else n


def _copies_equally(g: _Grid) -> bool:
    """Return whether every position is copied equally often, so its copies are side by side."""
    copies = g.method != "linear"
    return copies and all(o % n == 0 for n, o in zip(g.size, g.output, strict=True))


def _sum_of_copies(g: _Grid, dy: Array) -> Array:
    """Return, for each position of x, the sum of dy over its copies."""
    for axis, n, o in reversed(list(zip(g.axes, g.size, g.output, strict=True))):
        copies = dy.reshape(*dy.shape[:axis], n, o // n, *dy.shape[axis + 1 :])
        if o // n > FEW_COPIES:
            dy = jnp.sum(copies, axis + 1)
        else:
            dy = pairwise_sum(
                [lax.index_in_dim(copies, i, axis + 1, keepdims=False) for i in range(o // n)]
            )
    return dy


_resize = Rule(_resize_forward, _resize_backward, static=1)


def _weights(g: _Grid) -> list[Rows]:
    """Return A for each dimension."""
    tables = []
    for n, o in zip(g.size, g.output, strict=True):
        i = np.arange(o)
        if g.method == "nearest":
            tables.append(_copies((2 * i + 1) * n // (2 * o)))
            continue
        if g.method == "nearest_floor":
            tables.append(_copies(i * n // o))
            continue
        if g.align_corners:
            over, under = i * (n - 1), max(o - 1, 1)
        else:
            over, under = np.clip((2 * i + 1) * n - o, 0, 2 * o * (n - 1)), 2 * o
        p, t = over // under, over % under / under
        after = np.minimum(p + 1, n - 1)
        tables.append(Rows(np.stack([p, after], axis=1), np.stack([1 - t, t], axis=1)))
    return tables


def _copies(source: np.ndarray) -> Rows:
    """Return the rows of y[i] = x[source[i]]."""
    return Rows(source[:, None], np.ones((len(source), 1)))
