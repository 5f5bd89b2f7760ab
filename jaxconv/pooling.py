"""Pooling: a window's maximum or mean, and how its cotangent is shared out."""

import math
from collections.abc import Iterator
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv.arguments import (
    IntOrInts,
    Layout,
    Padding,
    Ties,
    accumulator,
    as_array,
    as_bool,
    as_float,
    check_floating,
    check_number,
    check_option,
)
from jaxconv.geometry import Windows, make_windows
from jaxconv.windows import landing, offsets, overlap_add, sum_back, views


def max_pool(
    x: Array,
    window: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    ties: Ties = "first",
    layout: Layout = "channels_last",
) -> Array:
    r"""The largest value of each window.

        y[n, i, c] = max_a x̃[n, s·i + d·a − low, c],        x̃ = −∞ outside x

    A nudge of the largest value is a nudge of y; a nudge of any other is not seen. So

        dx[n, p, c] = Σ_{i,a : s·i + d·a − low = p} share[n, i, a, c] · dy[n, i, c],

    where `share` is 1 at the maximum and 0 elsewhere. If several values tie, the maximum
    has a kink there and the gradient is a choice:

        ties="first"   share = 1 at the first in row-major order (JAX, PyTorch)
        ties="all"     share = 1 at every one of them (the mask of "Backpropagation in a
                       Convolutional Neural Network": x == y, without its tolerance)
        ties="split"   share = 1/count at every one of them

    Saved for the backward pass: for "first" the index a as the smallest unsigned integer that
    holds it (one byte for windows up to 16 × 16), for the others one bit per window element, in
    words of 8, 16 or 32 (two bytes for 3 × 3).

    NaN: a window that holds one gives NaN, and its cotangent goes to the first NaN (or to
    all, or split). A window of padding alone gives −∞ and its cotangent goes nowhere;
    padding never ties with a −∞ of x.

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions; floats or integers.
        window: K, an int or one per spatial dimension.
        stride: s, the same; None means `window`.
        padding: as in `jaxconv.conv`, but at most half of what the (dilated) window spans.
        dilation: d, distance between neighbouring window elements.
        ceil_mode: round the output size up: a last window may hang over the end if it starts
            inside x or its low padding.
        ties: who gets the gradient among equals.
        layout: "channels_first" is (N, C, *spatial).

    Returns:
        y, (N, *spatial_out, C) in the layout and dtype of x.

    Raises:
        TypeError: x is no array of numbers.
        ValueError: an unknown option, padding over half the window, a window that fits nowhere.

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool(jnp.array([[[1.0], [3.0], [2.0], [0.0]]]), 2)[0, :, 0].tolist()
        [3.0, 2.0]

    The derivation: docs/derivations/pooling.md.
    """
    x = as_array("max_pool", "x", x)
    check_number("max_pool", "x", x)
    check_option("max_pool", "ties", ties, Ties)
    g = make_windows(
        "max_pool", x, window, stride=stride, padding=padding, dilation=dilation,
        ceil_mode=ceil_mode, layout=layout,
    )  # fmt: skip
    for d, (pair, span) in enumerate(zip(g.padding, g.extent, strict=True)):
        if max(pair) > span // 2:
            raise ValueError(
                f"max_pool: padding may not exceed half the window, which spans {span}"
                f" positions of spatial dimension {d}, but {pair} came"
            )
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return _largest(g, x)  # integers have no cotangent
    if ties == "first":
        return _first_max_compiled(g, x)
    return _tied_max_compiled(g, ties, x)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _first_max(g: Windows, x: Array) -> Array:
    return _largest(g, x)


def _first_max_forward(g: Windows, x: Array) -> tuple[Array, Array]:
    dtype = np.min_scalar_type(math.prod(g.window) - 1)
    index = jnp.broadcast_to(_first_inside(g).astype(dtype), _pooled_shape(g, x))
    largest = jnp.full(_pooled_shape(g, x), -jnp.inf, x.dtype)
    for a, view in enumerate(views(g, x, -jnp.inf)):
        # Strictly larger, so the first of equals stays; a NaN beats all but an earlier NaN.
        better = (view > largest) | (jnp.isnan(view) & ~jnp.isnan(largest))
        largest = jnp.where(better, view, largest)
        index = jnp.where(better, jnp.asarray(a, dtype), index)
    return largest, index


def _first_max_backward(g: Windows, index: Array, dy: Array) -> tuple[Array]:
    wide = dy.astype(accumulator(dy.dtype))
    parts = (jnp.where(index == a, wide, 0) for a in range(math.prod(g.window)))
    return (overlap_add(g, parts).astype(dy.dtype),)


_first_max.defvjp(_first_max_forward, _first_max_backward)
_first_max_compiled = jax.jit(_first_max, static_argnums=0, inline=True)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _tied_max(g: Windows, ties: Ties, x: Array) -> Array:
    return _largest(g, x)


def _tied_max_forward(g: Windows, ties: Ties, x: Array) -> tuple[Array, list[Array]]:
    y = _tied_largest(g, ties, x)
    return y, _pack(_tied(g, x, y))


def _tied_max_backward(g: Windows, ties: Ties, words: list[Array], dy: Array) -> tuple[Array]:
    share = dy.astype(accumulator(dy.dtype))
    tied = list(_unpack(words, math.prod(g.window)))
    if ties == "split":
        share = share / _how_many(tied, share.dtype)
    parts = (jnp.where(bit, share, 0) for bit in tied)
    return (overlap_add(g, parts).astype(dy.dtype),)


_tied_max.defvjp(_tied_max_forward, _tied_max_backward)
_tied_max_compiled = jax.jit(_tied_max, static_argnums=(0, 1), inline=True)


def _largest(g: Windows, x: Array) -> Array:
    """The largest value of each window; NaN if it holds one."""
    integer = jnp.issubdtype(x.dtype, jnp.integer)
    return reduce(jnp.maximum, views(g, x, jnp.iinfo(x.dtype).min if integer else -jnp.inf))


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _tied_largest(g: Windows, ties: Ties, x: Array) -> Array:
    """`_largest`, for whoever differentiates the rule again: its slope, too, is the shares.

    JAX would take the slope of a chain of `maximum`, which halves at every tie it meets.
    """
    return _largest(g, x)


@_tied_largest.defjvp
def _tied_largest_jvp(
    g: Windows, ties: Ties, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    """ẏ[i] = Σ_a share[i, a] · ẋ[s·i + d·a − low], the transpose of the backward pass."""
    (x,), (x_dot,) = primals, tangents
    y = _tied_largest(g, ties, x)
    tied = _tied(g, x, y)
    nudges = views(g, x_dot, 0)
    y_dot = reduce(jnp.add, (jnp.where(t, v, 0) for t, v in zip(tied, nudges, strict=True)))
    if ties == "split":
        y_dot = y_dot / _how_many(tied, y_dot.dtype)
    return y, y_dot


def _tied(g: Windows, x: Array, y: Array) -> list[Array]:
    """For each offset, which windows find their largest value there."""
    return [
        ((view == y) | jnp.isnan(view)) & inside
        for view, inside in zip(views(g, x, -jnp.inf), _inside(g), strict=True)
    ]


def _how_many(tied: list[Array], dtype: Any) -> Array:
    """How many values tie in each window; 1 in a window of padding alone."""
    return jnp.maximum(reduce(jnp.add, (t.astype(dtype) for t in tied)), 1)


def _pooled_shape(g: Windows, x: Array) -> tuple[int, ...]:
    shape = list(x.shape)
    for axis, size in zip(g.spatial_axes, g.output, strict=True):
        shape[axis] = size
    return tuple(shape)


def _inside(g: Windows) -> Iterator[Any]:
    """For each offset, which windows see x there and not padding (True: all of them)."""
    tables = landing(g, ((0, 0),) * g.dims)
    for a in offsets(g):
        columns = [table[:, i] for table, i in zip(tables, a, strict=True)]
        yield True if all(c.all() for c in columns) else _outer(g, columns, np.logical_and)


def _first_inside(g: Windows) -> np.ndarray:
    """Per window the first offset that sees x (0 where none does), flat in row-major order."""
    tables = landing(g, ((0, 0),) * g.dims)
    rest = math.prod(g.window)
    flat = []
    for table, k in zip(tables, g.window, strict=True):
        rest //= k
        flat.append(table.argmax(axis=1) * rest)
    return _outer(g, flat, np.add)


def _outer(g: Windows, vectors: list[np.ndarray], combine: np.ufunc) -> np.ndarray:
    """One value per window from one vector per dimension, shaped to broadcast against y."""
    return reduce(combine.outer, vectors).reshape(g.on_axes(g.output, 1))


_WORD = 32


def _pack(bits: list[Array]) -> list[Array]:
    """Boolean arrays as the bits of unsigned integers, up to 32 in each."""
    words = []
    for start in range(0, len(bits), _WORD):
        chunk = bits[start : start + _WORD]
        dtype = np.min_scalar_type((1 << len(chunk)) - 1)
        shifted = (bit.astype(dtype) << jnp.asarray(i, dtype) for i, bit in enumerate(chunk))
        words.append(reduce(jnp.bitwise_or, shifted))
    return words


def _unpack(words: list[Array], count: int) -> Iterator[Array]:
    """The boolean arrays that `_pack` packed."""
    for i in range(count):
        word = words[i // _WORD]
        yield (word >> jnp.asarray(i % _WORD, word.dtype)) & jnp.asarray(1, word.dtype) == 1


def avg_pool(
    x: Array,
    window: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: float | None = None,
    layout: Layout = "channels_last",
) -> Array:
    r"""The mean of each window.

        y[n, i, c]  = 1/count[i] · Σ_a x̃[n, s·i + a − low, c],        x̃ = 0 outside x

        dx[n, p, c] = Σ_{i,a : s·i + a − low = p} dy[n, i, c] / count[i]

    so every value of a window is given the same share (¼ each for 2 × 2). Nothing is saved
    for the backward pass: count is known from the shapes.

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions.
        window: K, an int or one per spatial dimension.
        stride: s, the same; None means `window`.
        padding: as in `jaxconv.conv`.
        ceil_mode: round the output size up: a last window may hang over the end if it starts
            inside x or its low padding. The overhang is never counted, as in PyTorch.
        count_include_pad: whether padding counts as values (zeros) or not at all. A window
            that holds nothing that counts gives 0, and so does its gradient.
        divisor: divide by this number instead of count.
        layout: "channels_first" is (N, C, *spatial).

    Returns:
        y, (N, *spatial_out, C) in the layout and dtype of x; 16-bit floats are summed in float32.

    Raises:
        TypeError: x is no array of floats, or divisor no number.
        ValueError: divisor is 0 or not finite, an unknown option, or a window that fits nowhere.

    Example:
        >>> import jax.numpy as jnp
        >>> avg_pool(jnp.array([[[1.0], [3.0], [2.0], [0.0]]]), 2)[0, :, 0].tolist()
        [2.0, 1.0]

    The derivation: docs/derivations/pooling.md.
    """
    x = as_array("avg_pool", "x", x)
    check_floating("avg_pool", x=x)
    g = make_windows(
        "avg_pool", x, window, stride=stride, padding=padding, dilation=1,
        ceil_mode=ceil_mode, layout=layout,
    )  # fmt: skip
    count_include_pad = as_bool("avg_pool", "count_include_pad", count_include_pad)
    if divisor is not None:
        divisor = as_float("avg_pool", "divisor", divisor)
    if divisor == 0:
        raise ValueError("avg_pool: divisor must not be 0")
    return _mean_compiled(g, count_include_pad, divisor, x)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _mean(g: Windows, count_include_pad: bool, divisor: float | None, x: Array) -> Array:
    return _mean_forward(g, count_include_pad, divisor, x)[0]


def _mean_forward(
    g: Windows, count_include_pad: bool, divisor: float | None, x: Array
) -> tuple[Array, None]:
    wide = x.astype(accumulator(x.dtype))
    # A window may end before the padding does; lax.pad cuts, reduce_window's padding does not.
    widths = [(low, high, 0) for low, high in g.covering]
    padded = lax.pad(wide, jnp.zeros((), wide.dtype), g.on_axes(widths, (0, 0, 0)))
    total = lax.reduce_window(
        padded,
        np.zeros((), wide.dtype),
        lax.add,
        g.on_axes(g.window, 1),
        g.on_axes(g.stride, 1),
        "VALID",
    )
    mean = total / _count(g, count_include_pad, divisor, total.dtype)
    return mean.astype(x.dtype), None


def _mean_backward(
    g: Windows, count_include_pad: bool, divisor: float | None, residuals: None, dy: Array
) -> tuple[Array]:
    wide = dy.astype(accumulator(dy.dtype))
    share = wide / _count(g, count_include_pad, divisor, wide.dtype)
    return (sum_back(g, share).astype(dy.dtype),)


_mean.defvjp(_mean_forward, _mean_backward)
_mean_compiled = jax.jit(_mean, static_argnums=(0, 1, 2), inline=True)


def _count(g: Windows, include_pad: bool, divisor: float | None, dtype: Any) -> np.ndarray:
    """What each window's sum is divided by, shaped to broadcast against y."""
    if divisor is not None:
        return np.asarray(divisor, dtype)
    border = g.padding if include_pad else ((0, 0),) * g.dims
    counts = [table.sum(axis=1) for table in landing(g, border)]
    return np.maximum(_outer(g, counts, np.multiply), 1).astype(dtype)
