"""Max pooling that also returns the positions of its maxima, and unpooling by positions."""

import math
import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv._core.arguments import (
    IntOrInts,
    Layout,
    Padding,
    accumulator,
    aligned,
    as_array,
    check_floating,
    per_dimension,
)
from jaxconv._core.geometry import Ints, Windows, image_axes
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv._core.symbolic import as_number
from jaxconv._core.windows import first_and_count
from jaxconv.pooling._extremes import LARGEST, outer
from jaxconv.pooling._selection import find, pick, stages
from jaxconv.pooling.max_pool import extreme_windows, first_backward


def max_pool_with_indices(
    x: Shaped[Array, "N *spatial C"],
    window: IntOrInts,
    *,
    stride: IntOrInts | None = None,
    padding: Padding = "VALID",
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    layout: Layout = "channels_last",
) -> tuple[Shaped[Array, "N *spatial_out C"], Shaped[Array, "N *spatial_out C"]]:
    r"""The largest value of each window, and its position in x.

        y[n, i, c]       = max_a x̃[n, s·i + d·a − low, c],        x̃ = −∞ outside x
        indices[n, i, c] = the position p = s·i + d·a − low of the first maximum

        dx[n, p, c]      = Σ_{i : indices[n, i, c] = p} dy[n, i, c]

    In two dimensions the index of position (h, w) is h·W + w, in three it is (d·H + h)·W + w, as
    in PyTorch with `return_indices=True`; `jaxconv.max_unpool` takes these indices. Among equal
    values the index is that of the first one in row-major order, or of the first NaN if the
    window holds a NaN. A window that covers only padding gives −∞ and the index −1. The indices
    are integers, so their cotangent has the dtype float0.

    Saved for the backward pass: the offset of each maximum inside its window, as in
    `jaxconv.max_pool` (one byte for windows up to 8 × 8), and not the indices.

    Example:
        >>> import jax.numpy as jnp
        >>> y, indices = max_pool_with_indices(jnp.array([[[1.0], [3.0], [2.0], [0.0]]]), 2)
        >>> y[0, :, 0].tolist(), indices[0, :, 0].tolist()
        ([3.0, 2.0], [1, 2])

    Args:
        x: input, (N, *spatial, C) with 1, 2 or 3 spatial dimensions; floats or integers.
        window: K, an int or one per spatial dimension.
        stride: s, an int or one per spatial dimension; None means `window`.
        padding: as in `jaxconv.conv`, but at most half of what the (dilated) window spans.
        dilation: d, the distance between neighbouring window elements.
        ceil_mode: round the output size up: a last window may extend past the end if it starts
            inside x or its low padding.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        y, (N, *spatial_out, C) in the layout and dtype of x, and the indices, of the same shape
        in int32.

    Raises:
        TypeError: x is not an array of numbers.
        ValueError: the layout is unknown, the padding exceeds half the window, or no window fits.

    The derivation: docs/derivations/pooling.md.
    """
    x, g = extreme_windows(
        "max_pool_with_indices", x, window, stride=stride, padding=padding, dilation=dilation,
        ceil_mode=ceil_mode, layout=layout,
    )  # fmt: skip
    return _located(g, x)


def _located_forward(g: Windows, x: Array) -> tuple[tuple[Array, Array], list[Array]]:
    steps = stages(g)
    each = reversed(range(g.dims))
    dims = [tuple(range(g.dims))] if len(steps) == 1 else [(dim,) for dim in each]
    position: Any = None
    found = []
    for stage, spanned in zip(steps, dims, strict=True):
        x, index = find(LARGEST, stage, x)
        here = _positions(g, stage, spanned, index)
        # Of the positions that earlier stages found, take that in the row which this one chose.
        position = here if position is None else here + pick(stage, index, position)
        found.append(index)
    counts = [count > 0 for _, count in first_and_count(g, ((0, 0),) * g.dims)]
    sees_x = outer(g, counts, operator.and_)
    return (x, position if g.known and sees_x.all() else jnp.where(sees_x, position, -1)), found


def _located_backward(
    g: Windows, found: list[Array], cotangents: tuple[Array, object]
) -> tuple[Array]:
    dy, _ = cotangents
    return first_backward(LARGEST, g, found, dy)


_located = Rule(_located_forward, _located_backward, static=1, name="max_pool_with_indices")


def _positions(g: Windows, stage: Windows, dims: Ints, index: Array) -> Array:
    """Return the contribution of `dims` to the flat position in x of a stage's offset `index`."""
    index = index.astype(np.int32)
    position = jnp.zeros_like(index)
    for dim in dims:
        xp: ModuleType = np if isinstance(stage.output[dim], int) else jnp
        start = stage.stride[dim] * xp.arange(stage.output[dim]) - stage.padding[dim][0]
        shape = [1] * index.ndim
        shape[g.spatial_axes[dim]] = -1
        a = index // math.prod(stage.window[dim + 1 :]) % stage.window[dim]
        p = start.astype(np.int32).reshape(shape) + stage.dilation[dim] * a
        position = position + p * as_number(math.prod(g.size[dim + 1 :]), p.dtype)
    return position


def max_unpool(
    y: Shaped[Array, "N *spatial C"],
    indices: Shaped[Array, "N *spatial C"],
    output_size: IntOrInts,
    *,
    layout: Layout = "channels_last",
) -> Shaped[Array, "N *output_size C"]:
    r"""Put each value at the position of its index, and zeros elsewhere.

        x[n, p, c]  = Σ_{i : indices[n, i, c] = p} y[n, i, c]

        dy[n, i, c] = dx[n, indices[n, i, c], c]

    This is the transpose of reading x at these indices, so its gradient reads dx at them. If an
    index occurs twice, as it may for overlapping windows, the values are added; PyTorch keeps
    one of them (it does not say which) and gives the gradient to both. A value whose index is
    outside 0 … size − 1 (such as −1, for a window that covers only padding) is dropped, and its
    dy is 0; PyTorch raises an error. Saved for the backward pass: the indices.

    Example:
        >>> import jax.numpy as jnp
        >>> y, indices = jnp.array([[[3.0], [2.0]]]), jnp.array([[[1], [2]]])
        >>> max_unpool(y, indices, 4)[0, :, 0].tolist()
        [0.0, 3.0, 2.0, 0.0]

    Args:
        y: values, (N, *spatial, C) with 1, 2 or 3 spatial dimensions.
        indices: integers in the shape of y, flat positions in the spatial dimensions of x.
        output_size: the spatial size of x, an int or one per dimension.
        layout: "channels_first" means (N, C, *spatial).

    Returns:
        x, (N, *output_size, C) in the layout and dtype of y; 16-bit floats are summed in float32.

    Raises:
        TypeError: y is not a floating-point array, or indices are not integers.
        ValueError: indices do not have the shape of y, a size is below 1, or the layout is
            unknown.

    The derivation: docs/derivations/pooling.md.
    """
    y, indices = as_array("max_unpool", "y", y), as_array("max_unpool", "indices", indices)
    check_floating("max_unpool", y=y)
    if not jnp.issubdtype(indices.dtype, jnp.integer):
        raise TypeError(f"max_unpool: indices must be integers, but their dtype is {indices.dtype}")
    axes, _ = image_axes("max_unpool", y, layout, name="y")
    if indices.shape != y.shape:
        raise ValueError(
            f"max_unpool: indices must have the shape of y, {y.shape}, but theirs is"
            f" {indices.shape}"
        )
    size = per_dimension("max_unpool", "output_size", output_size, len(axes), 1)
    return _unpool(axes, size, *aligned(y, indices))


def _unpool_forward(axes: Ints, size: Ints, y: Array, indices: Array) -> tuple[Array, Array]:
    total = math.prod(size)
    wide = y.astype(accumulator(y.dtype))

    def lay(values: Array, places: Array) -> Array:
        return jnp.zeros_like(values, shape=total).at[places].add(values, mode="drop")

    x = _over_lines(axes, lay)(_flat(axes, wide), _flat(axes, _places(total, indices)))
    shape = list(y.shape)
    for axis, n in zip(axes, size, strict=True):
        shape[axis] = n
    return x.reshape(shape).astype(y.dtype), indices


def _unpool_backward(axes: Ints, size: Ints, indices: Array, dx: Array) -> tuple[Array, None]:
    def read(values: Array, places: Array) -> Array:
        return values.at[places].get(mode="fill", fill_value=0)

    places = _places(math.prod(size), indices)
    dy = _over_lines(axes, read)(_flat(axes, dx), _flat(axes, places))
    return dy.reshape(indices.shape), None


_unpool = Rule(_unpool_forward, _unpool_backward, static=2, name="max_unpool")


def _places(total: int, indices: Array) -> Array:
    """Return the indices as int32; those out of range become `total`, which is no position."""
    if indices.dtype.itemsize < 4:
        indices = indices.astype(np.int32)  # `total` may not fit in fewer bits
    fits = (indices >= 0) & (indices < total)
    return jnp.where(fits, indices, total).astype(np.int32)


def _flat(axes: Ints, x: Array) -> Array:
    """Merge the spatial axes into one: (N, positions, C) or (N, C, positions)."""
    first, last = axes[0], axes[-1] + 1
    return x.reshape(*x.shape[:first], math.prod(x.shape[first:last]), *x.shape[last:])


def _over_lines(axes: Ints, function: Callable[..., Array]) -> Callable[..., Array]:
    """Apply a function of one example and one channel to all examples and channels."""
    channel = 2 - axes[0]  # the channel axis of a flat array without its first axis
    return jax.vmap(jax.vmap(function, channel, channel))
