"""Lay the patches of all windows side by side, and add them back up: unfold and fold."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv._core.arguments import (
    IntOrInts,
    Layout,
    Padding,
    accumulator,
    as_array,
    as_int,
    check_floating,
    check_option,
    is_sequence,
)
from jaxconv._core.geometry import Ints, Windows, check_positions, make_windows, windows_over
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv._core.sharding import reshape
from jaxconv._core.windows import overlap_add, views
from jaxconv.resampling._rows import Rows, product, transposed


def unfold(
    x: Shaped[Array, "N *spatial C"],
    window: IntOrInts,
    *,
    stride: IntOrInts = 1,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N L ΠK·C"]:
    r"""Return the elements that each window sees as one row: im2col.

        y[n, i, (a, c)] = x̃[n, s·i + d·a − low, c],        x̃ = 0 outside x

        dx[n, p, c]     = Σ_{i,a : s·i + d·a − low = p} dy[n, i, (a, c)]

    The gradient of x[p] is the sum of the cotangents of its copies, so dx is `fold` of dy. The L
    output positions i and the offsets a are flattened, the last dimension running fastest. One
    product with the flattened kernel is then the convolution (`jaxconv.conv`, groups=1):

        channels_last    y is (N, L, ΠK·C), offsets before channels,   y @ w.reshape(-1, C_out)
        channels_first   y is (N, C·ΠK, L), channels before offsets,   w.reshape(C_out, -1) @ y

    channels_first equals PyTorch's `F.unfold`, and also `jax.lax.conv_general_dilated_patches`,
    except that positions are not flattened there. Nothing is saved for the backward pass. NaN and
    ∞ are copied like any value.

    Example:
        >>> import jax.numpy as jnp
        >>> unfold(jnp.array([[[1.0], [2.0], [3.0]]]), 2)[0].tolist()
        [[1.0, 2.0], [2.0, 3.0]]

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions.
        window: K, an int or one per spatial dimension.
        stride: s, an int or one per spatial dimension.
        padding: padding of x, as in `jaxconv.conv`.
        dilation: d, the distance between neighbouring window elements.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, L, ΠK·C) or (N, C·ΠK, L), in the dtype of x.

    Raises:
        TypeError: x is not a floating-point array.
        ValueError: an option is unknown, x is empty, or no window fits.

    The derivation: docs/derivations/resampling.md.
    """
    x = as_array("unfold", "x", x)
    check_floating("unfold", x=x)
    g = make_windows(
        "unfold", x, window, stride=_given("unfold", stride), padding=padding, dilation=dilation,
        ceil_mode=False, layout=layout,
    )  # fmt: skip
    check_positions("unfold", x, g.spatial_axes)
    return _unfold(g, x)


def _unfold_forward(g: Windows, x: Array) -> tuple[Array, None]:
    return _laid_out(g, x), None


def _unfold_backward(g: Windows, residuals: None, dy: Array) -> tuple[Array]:
    return (_laid_back(g, dy),)


_unfold = Rule(_unfold_forward, _unfold_backward, static=1)


def fold(
    x: Shaped[Array, "N L ΠK·C"],
    output_size: IntOrInts,
    window: IntOrInts,
    *,
    stride: IntOrInts = 1,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *output_size C"]:
    r"""Add up patches at the positions of their windows: col2im, the transpose of `unfold`.

        y[n, p, c]       = Σ_{i,a : s·i + d·a − low = p} x[n, i, (a, c)]

        dx[n, i, (a, c)] = dỹ[n, s·i + d·a − low, c],        dỹ = 0 outside y

    so dx is `unfold` of dy. Elements of a patch that lie on padding are dropped, and a position
    that no window sees is 0. Fold of unfold is not the identity: it multiplies each value by the
    number of windows that see it, which you get as fold of unfold of ones. Nothing is saved for
    the backward pass.

    channels_first equals PyTorch's `F.fold`.

    Example:
        >>> import jax.numpy as jnp
        >>> fold(jnp.array([[[1.0, 2.0], [2.0, 3.0]]]), (3,), 2)[0, :, 0].tolist()
        [1.0, 4.0, 3.0]

    Args:
        x: patches, (N, L, ΠK·C), as `unfold` returns them for an input of `output_size`.
        output_size: the spatial sizes of y, a sequence of 1, 2 or 3 ints. A single int is not
            enough, because it does not say how many dimensions there are (PyTorch assumes two).
        window: K, an int or one per spatial dimension.
        stride: s, an int or one per spatial dimension.
        padding: padding of y, as in `jaxconv.conv`.
        dilation: d, the distance between neighbouring window elements.
        layout: "channels_first" means x (N, C·ΠK, L) and y (N, C, *spatial).

    Returns:
        y, (N, *output_size, C) in the layout and dtype of x. Sums of 16-bit floats are
        accumulated in float32.

    Raises:
        TypeError: x is not a floating-point array, or output_size is not a sequence of ints.
        ValueError: x does not have the shape that `unfold` returns, an option is unknown, or no
            window fits.

    The derivation: docs/derivations/resampling.md.
    """
    x = as_array("fold", "x", x)
    check_floating("fold", x=x)
    check_option("fold", "layout", layout, Layout)
    last = layout == "channels_last"
    form = "(N, positions, window·C)" if last else "(N, C·window, positions)"
    if x.ndim != 3:
        raise ValueError(f"fold: x must be {form}, but its shape is {x.shape}")
    if not is_sequence(output_size) or not 1 <= len(output_size) <= 3:
        raise TypeError(
            "fold: output_size must be 1, 2 or 3 ints, one per spatial dimension,"
            f" but got {output_size!r}"
        )
    size = tuple(as_int("fold", f"output_size[{d}]", n, 1) for d, n in enumerate(output_size))
    g = windows_over(
        "fold", size, window, stride=_given("fold", stride), padding=padding, dilation=dilation,
        ceil_mode=False, layout=layout, name="output_size",
    )  # fmt: skip
    positions, width = x.shape[1:] if last else x.shape[:0:-1]
    offsets = math.prod(g.window)
    if positions != math.prod(g.output) or width % offsets:
        raise ValueError(
            f"fold: x must be {form} with {math.prod(g.output)} positions and a multiple of"
            f" {offsets} window elements, but its shape is {x.shape}"
        )
    return _fold(g, x)


def _fold_forward(g: Windows, x: Array) -> tuple[Array, None]:
    return _laid_back(g, x), None


def _fold_backward(g: Windows, residuals: None, dy: Array) -> tuple[Array]:
    return (_laid_out(g, dy),)


_fold = Rule(_fold_forward, _fold_backward, static=1)


def _given(op: str, stride: IntOrInts) -> IntOrInts:
    """Return `stride`; raise for None, which would otherwise mean the window."""
    return stride if is_sequence(stride) else as_int(op, "stride", stride, 1)


def _laid_out(g: Windows, x: Array) -> Array:
    """Return the patches of all windows of x."""
    form = _form(g, x.shape[0], x.shape[g.channel_axis])
    if _by_slices(g):
        return reshape(jnp.stack(list(views(g, x, 0)), _offset_axis(g)), form.flat)
    for axis, rows in zip(g.spatial_axes, _seen(g), strict=True):
        x = product(rows, x, axis)
    return reshape(reshape(x, form.split).transpose(form.order), form.flat)


def _laid_back(g: Windows, y: Array) -> Array:
    """Return, for every position, the sum of the patch elements that lie there."""
    offsets = math.prod(g.window)
    row = y.shape[2 if g.layout == "channels_last" else 1]
    form = _form(g, y.shape[0], row // offsets)
    wide = y.astype(accumulator(y.dtype))
    apart = reshape(wide, [form.split[axis] for axis in form.order])
    if _by_slices(g):
        at = _offset_axis(g)
        apart = reshape(apart, (*apart.shape[:at], offsets, *apart.shape[at + g.dims :]))
        parts = (lax.index_in_dim(apart, a, at, keepdims=False) for a in range(offsets))
        return overlap_add(g, parts).astype(y.dtype)
    x = reshape(apart.transpose(np.argsort(form.order)), form.joined)
    for axis, rows, size in zip(g.spatial_axes, _seen(g), g.size, strict=True):
        x = product(transposed(rows, size), x, axis)
    return x.astype(y.dtype)


def _by_slices(g: Windows) -> bool:
    """Return whether to use slices, offset by offset, instead of `Rows`, axis by axis.

    On a CPU slices are up to 3 times as fast at stride 1, where each is as large as the image. At
    other strides most of the terms that they add are zeros (150 times slower for 16×16 tiles), and
    thousands of slices take minutes to compile.
    """
    return set(g.stride) == {1} and math.prod(g.window) <= 64


def _offset_axis(g: Windows) -> int:
    """Return the axis of the offsets in the patches, where positions are not flattened."""
    return g.dims + 1 if g.layout == "channels_last" else 2


class _Form(NamedTuple):
    """The shapes on the way from an image to its patches."""

    joined: Ints  # each spatial axis holds (a, i), flattened
    split: Ints  # a and i are separate axes
    order: Ints  # the order in which the patches have the axes of `split`
    flat: Ints  # the shape of the patches


def _form(g: Windows, n: int, c: int) -> _Form:
    dims, positions, offsets = g.dims, math.prod(g.output), math.prod(g.window)
    both = [k * o for k, o in zip(g.window, g.output, strict=True)]
    apart = [size for pair in zip(g.window, g.output, strict=True) for size in pair]
    if g.layout == "channels_last":
        a, i = range(1, 2 * dims + 1, 2), range(2, 2 * dims + 1, 2)
        order = (0, *i, *a, 2 * dims + 1)
        return _Form((n, *both, c), (n, *apart, c), order, (n, positions, offsets * c))
    a, i = range(2, 2 * dims + 2, 2), range(3, 2 * dims + 2, 2)
    return _Form((n, c, *both), (n, c, *apart), (0, 1, *a, *i), (n, c * offsets, positions))


def _seen(g: Windows) -> list[Rows]:
    """Return, per dimension, the position that window i sees at offset a, (a, i) flattened."""
    tables = []
    for n, k, s, d, o, (low, _) in zip(
        g.size, g.window, g.stride, g.dilation, g.output, g.padding, strict=True
    ):
        p = (s * np.arange(o) + d * np.arange(k)[:, None] - low).reshape(-1, 1)
        inside = (p >= 0) & (p < n)
        tables.append(Rows(np.where(inside, p, 0), inside.astype(float)))
    return tables
