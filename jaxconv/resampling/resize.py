"""Larger and smaller images: upsample and resize."""

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
    accumulator,
    as_bool,
    check_option,
    per_dimension,
)
from jaxconv._core.geometry import Ints
from jaxconv._core.rule import Rule
from jaxconv._core.windows import pairwise_sum
from jaxconv.resampling._rows import Rows, as_image, product, transposed

# Up to so many copies are added one by one, which is one loop over all dimensions; a reduction of
# them reads what it sums from memory (2 × 2 over 32 × 32 × 32 × 64: 0.30 ms for 0.39).
FEW_COPIES = 8


def upsample(
    x: Array,
    factor: IntOrInts,
    *,
    method: ResizeMethod = "nearest",
    layout: Layout = "channels_last",
) -> Array:
    r"""x, r times as large: `resize` to r·n positions, by a whole number r.

        nearest   y[n, r·p + a, c] = x[n, p, c],                             0 ≤ a < r
        linear    y[n, i, c] = (1 − t_i)·x[n, p_i, c] + t_i·x[n, p_i + 1, c]

                  dx[n, p, c] = Σ_i A[i, p] · dy[n, i, c]

    where A[i, p] is the weight of x[p] in y[i]. For nearest dx is the sum of dy over p's tile.
    For linear i and p are the middles of pixels, so y[i] lies at p_i + t_i = (i + ½)/r − ½ of x,
    or at its border if that is outside; several dimensions one after the other (bilinear,
    trilinear). Nothing is saved for the backward pass. NaN and ∞ reach what has a weight on them.

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
        layout: "channels_first" is (N, C, *spatial).

    Returns:
        y, (N, *(r·spatial), C) in the layout and dtype of x.

    Raises:
        TypeError: x is no array of floats, or factor no int.
        ValueError: a factor under 1, an empty x, or an unknown option.

    The derivation: docs/derivations/resampling.md.
    """
    x, axes, _ = as_image("upsample", x, layout)
    check_option("upsample", "method", method, ResizeMethod)
    factors = per_dimension("upsample", "factor", factor, len(axes), 1)
    size = tuple(x.shape[axis] for axis in axes)
    larger = tuple(n * r for n, r in zip(size, factors, strict=True))
    return _resize(_Grid(axes, size, larger, method, False), x)


def resize(
    x: Array,
    size: IntOrInts,
    *,
    method: ResizeMethod = "nearest",
    align_corners: bool = False,
    layout: Layout = "channels_last",
) -> Array:
    r"""x at another size, the same picture.

        y[n, i, c]  = Σ_p A[i, p] · x[n, p, c]

        dx[n, p, c] = Σ_i A[i, p] · dy[n, i, c]

    along each dimension, one after the other. From n to o positions, y[i] lies at

        p_i + t_i = (i + ½)·n/o − ½          in [0, n − 1], or at its border if outside
        p_i + t_i = i·(n − 1)/(o − 1)        align_corners=True (0 if o = 1)

    of x, and with a whole number p_i and 0 ≤ t_i < 1

        linear    A[i, p_i] = 1 − t_i,  A[i, p_i + 1] = t_i
        nearest   A[i, ⌊(i + ½)·n/o⌋] = 1

    Positions are fractions of whole numbers, so no rounding moves a pixel. Nothing is saved for
    the backward pass. What has the weight 0 is not looked at, so NaN and ∞ reach only what they
    are part of; a value that no y[i] is made of (possible when o < n) has the gradient 0.

    PyTorch, `F.interpolate(size=…)`: linear is its mode "linear", "bilinear" or "trilinear";
    nearest is its "nearest-exact". Its "nearest" is another function unless o is a multiple of
    n: it takes x[⌊i·n/o⌋], which lies up to half a pixel of y before y[i] (`x[:, ::s]` for
    n = s·o). JAX: `jax.image.resize`, but that averages when it makes an image smaller linearly
    (unless antialias=False), and PyTorch and jaxconv do not.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[[0.0], [3.0]]])
        >>> resize(x, 4, method="linear", align_corners=True)[0, :, 0].tolist()
        [0.0, 1.0, 2.0, 3.0]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions, none of them empty.
        size: o, an int or one per spatial dimension.
        method: "nearest" or "linear".
        align_corners: put the first and last position of y on those of x; only for "linear".
        layout: "channels_first" is (N, C, *spatial).

    Returns:
        y, (N, *size, C) in the layout and dtype of x.

    Raises:
        TypeError: x is no array of floats, size no int, or align_corners no bool.
        ValueError: a size under 1, an empty x, an unknown option, or align_corners with "nearest".

    The derivation: docs/derivations/resampling.md.
    """
    x, axes, _ = as_image("resize", x, layout)
    check_option("resize", "method", method, ResizeMethod)
    output = per_dimension("resize", "size", size, len(axes), 1)
    align_corners = as_bool("resize", "align_corners", align_corners)
    if align_corners and method == "nearest":
        raise ValueError("resize: align_corners=True needs method 'linear', but got 'nearest'")
    before = tuple(x.shape[axis] for axis in axes)
    return _resize(_Grid(axes, before, output, method, align_corners), x)


class _Grid(NamedTuple):
    """From which positions to which."""

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
        # The tables of A are made of symbols (`jax.export`), and Aᵀ cannot be read off them.
        like = jnp.zeros([_before(g, axis, n) for axis, n in enumerate(dx.shape)], dx.dtype)
        return (jax.vjp(partial(_resized, g), like)[1](dx)[0].astype(dy.dtype),)
    if _copies_equally(g):
        return (_sum_of_copies(g, dx).astype(dy.dtype),)
    for axis, rows, n in reversed(list(zip(g.axes, _weights(g), g.size, strict=True))):
        dx = product(transposed(rows, n), dx, axis)
    return (dx.astype(dy.dtype),)


def _before(g: _Grid, axis: int, n: int) -> int:
    """The size of this axis of x, where it is n of y."""
    return g.size[g.axes.index(axis)] if axis in g.axes else n


def _copies_equally(g: _Grid) -> bool:
    """Whether every position is copied equally often: its copies stand side by side."""
    return g.method == "nearest" and all(o % n == 0 for n, o in zip(g.size, g.output, strict=True))


def _sum_of_copies(g: _Grid, dy: Array) -> Array:
    """Each position has the sum of its copies."""
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
    """A, per dimension."""
    tables = []
    for n, o in zip(g.size, g.output, strict=True):
        i = np.arange(o)
        if g.method == "nearest":
            source = (2 * i + 1) * n // (2 * o)
            tables.append(Rows(source[:, None], np.ones((o, 1))))
            continue
        if g.align_corners:
            over, under = i * (n - 1), max(o - 1, 1)
        else:
            over, under = np.clip((2 * i + 1) * n - o, 0, 2 * o * (n - 1)), 2 * o
        p, t = over // under, over % under / under
        after = np.minimum(p + 1, n - 1)
        tables.append(Rows(np.stack([p, after], axis=1), np.stack([1 - t, t], axis=1)))
    return tables
