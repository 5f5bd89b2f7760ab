"""Read the windows of an input, and add what belongs to each position back up.

Windows are read offset by offset. At offset a all windows together see a strided slice of the
padded input, so a windowed op consists of Π K elementwise terms and needs no gather:

    view_a[i]  = x̃[s·i + d·a]                          x̃[q] = x[q − low], `fill` outside
    dx[p]      = Σ_a Σ_{i : s·i + d·a − low = p} part_a[i]

`overlap_add` is the transpose of `views`: <views(x), parts> = <x, overlap_add(parts)>. If a part is
a function of its offset, `add_back` computes the same position by position from Π ⌈K/s⌉ terms.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce
from types import ModuleType
from typing import TypeVar

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv._core.barriers import LEAST_BYTES, pad_zeros
from jaxconv._core.doubling import LONG_SUM, running_sum
from jaxconv._core.geometry import Ints, Windows
from jaxconv._core.sharding import explicit_sharding
from jaxconv._core.symbolic import as_number, at_least

T = TypeVar("T")

FEW_OFFSETS = 16
"""Windows with at most this many offsets pad what each offset sees, which takes no memory; larger
windows read one padded copy of x. Both passes of max pool, 3×3 with stride 2 and padding 1,
64×32×32×64, take 2.7 ms so and 5.8 ms with a copy."""


def offsets(g: Windows) -> Iterator[Ints]:
    """Iterate over the offsets a inside the window, the last dimension running fastest."""
    return itertools.product(*map(range, g.window))


def views(g: Windows, x: Array, fill: float) -> Iterator[Array]:
    """Iterate over what all windows see at each offset; padding is `fill`."""
    if math.prod(g.window) > FEW_OFFSETS or not g.known:
        return views_of_copy(g, x, fill)
    nothing = jnp.asarray(fill, x.dtype)
    return (view_of_x(g, a, x, nothing) for a in offsets(g))


def views_of_copy(g: Windows, x: Array, fill: float) -> Iterator[Array]:
    """Iterate over what all windows see at each offset, in one padded copy of x."""
    # If a size is not known, neither is the part of the padding that no window reaches.
    around = [(low, max(high, 0)) for low, high in g.covering] if g.known else g.padding
    widths = [(*edge, 0) for edge in around]
    padded = lax.pad(x, jnp.asarray(fill, x.dtype), g.on_axes(widths, (0, 0, 0)))
    return (_view_of_padded(g, a, padded) for a in offsets(g))


def _view_of_padded(g: Windows, a: Ints, padded: Array) -> Array:
    start = [d * i for d, i in zip(g.dilation, a, strict=True)]
    limits = list(padded.shape)
    for axis, first, s, o in zip(g.spatial_axes, start, g.stride, g.output, strict=True):
        limits[axis] = first + s * (o - 1) + 1
    if not g.known:  # the last window may start at any of the last s positions
        for axis, first, span in zip(g.spatial_axes, start, g.extent, strict=True):
            limits[axis] = first + padded.shape[axis] - span + 1
    return lax.slice(padded, g.on_axes(start, 0), limits, g.on_axes(g.stride, 1))


def view_of_x(g: Windows, a: Ints, x: Array, nothing: Array) -> Array:
    """Return what all windows see at this offset: an element of x, or `nothing` in the padding."""
    starts, limits, widths = [], list(x.shape), []
    for i, d, s, o, (low, _), n, axis in zip(
        a, g.dilation, g.stride, g.output, g.padding, g.size, g.spatial_axes, strict=True
    ):
        position = d * i - low
        before = min(max(-(position // s), 0), o)
        seeing = max(min(o, (n - 1 - position) // s + 1) - before, 0)
        starts.append(s * before + position if seeing else 0)
        limits[axis] = starts[-1] + s * (seeing - 1) + 1 if seeing else 0
        widths.append((before, o - before - seeing, 0))
    seen = lax.slice(x, g.on_axes(starts, 0), limits, g.on_axes(g.stride, 1))
    return lax.pad(seen, nothing, g.on_axes(widths, (0, 0, 0)))


def overlap_add(g: Windows, parts: Iterable[Array]) -> Array:
    """Return dx[p], the sum of the parts of all windows that see p; padding is dropped."""
    spread = [_spread(g, a, part) for a, part in zip(offsets(g), parts, strict=True)]
    return _without_padding(g, pairwise_sum(spread), g.reach)


def pairwise_sum(terms: list[Array]) -> Array:
    """Sum the terms as a balanced tree: each is rounded log₂ n times instead of up to n times."""
    while len(terms) > 1:
        terms = [reduce(jnp.add, terms[i : i + 2]) for i in range(0, len(terms), 2)]
    return terms[0]


def _spread(g: Windows, a: Ints, part: Array) -> Array:
    """Return an array as large as the padded input, with the part of offset a at its positions.

    The element of window i is at position s·i + d·a, and all other elements are 0.
    """
    widths = []
    for i, d, s, o, reach in zip(a, g.dilation, g.stride, g.output, g.reach, strict=True):
        widths.append((d * i, reach - d * i - (s * (o - 1) + 1), s - 1))
    return lax.pad(part, jnp.zeros((), part.dtype), g.on_axes(widths, (0, 0, 0)))


def _without_padding(g: Windows, padded: Array, reach: Ints) -> Array:
    """Return x̃[low : low + n] of an x̃ of size `reach`; positions beyond its end are 0.

    This is a separate step, because XLA's partitioner aborts on a `pad` that makes holes and crops
    edges at once, if the dimension is sharded.
    """
    widths = [
        (-low, low + n - length, 0)
        for n, length, (low, _) in zip(g.size, reach, g.padding, strict=True)
    ]
    return lax.pad(padded, jnp.zeros((), padded.dtype), g.on_axes(widths, (0, 0, 0)))


def add_back(
    g: Windows,
    term: Callable[..., Array],
    *arrays: Array,
    pad: Callable[..., Array] = pad_zeros,
) -> Array:
    """Return dx[p], the sum of what all windows that see p contribute; padding is dropped.

    `term(a, *arrays)` is what windows contribute at their offset a, computed elementwise. a is a
    table of flat offsets in row-major order that broadcasts against the arrays. Beyond the end of
    a window a is Π K, and the term must be 0. Position p = s·m + r − low is seen at the offsets
    s·j + r by the windows m − j:

        dx[s·m + r − low] = Σ_{j < ⌈K/s⌉} term(s·j + r, arrays[m − j])

    With separate axes for m and r, this is one loop that writes dx in the order of memory.
    (`overlap_add` places the elements of each part s apart. XLA's CPU backend then tests for every
    number of dx and every part whether there is an element, and vectorizes none of it.)

    `pad` puts zeros around an array: `pad_zeros`, or `pad_zeros_unfused` if the platform is known
    to be a CPU.
    """
    if not g.known and side_by_side(g):
        beside = (jnp.expand_dims(array, window_axes(g)) for array in arrays)
        return _without_padding(g, _in_a_row(g, term(offsets_of_tiles(g), *beside)), g.reach)
    holes = any(min(each) > 1 for each in zip(g.stride, g.dilation, g.window, strict=True))
    if holes or not g.known:
        # With both a stride and a dilation, the offsets that see a position are not s apart. If a
        # size is not known, neither are the windows that see the first and the last positions.
        count = math.prod(g.window)
        return overlap_add(g, (term(np.asarray(a), *arrays) for a in range(count)))
    steps = [d if s == 1 else 1 for d, s in zip(g.dilation, g.stride, strict=True)]
    # first and last bound the m that have a position in x. missing counts, before and after, the
    # windows m − step·j that do not exist.
    first = [low // s for (low, _), s in zip(g.padding, g.stride, strict=True)]
    last = [-(-(low + n) // s) for n, (low, _), s in zip(g.size, g.padding, g.stride, strict=True)]
    missing = [
        (max(step * (most - 1) - m, 0), max(end - o, 0))
        for step, most, m, end, o in zip(steps, turns(g), first, last, g.output, strict=True)
    ]
    wide = [pad(array, g.on_axes(missing, (0, 0))) for array in arrays]

    def seen(array: Array, j: Ints) -> Array:
        """Return the windows m − step·j for all m, with axes of size 1 for r."""
        starts, limits = [0] * array.ndim, list(array.shape)
        for dim, axis in enumerate(g.spatial_axes):
            starts[axis] = missing[dim][0] + first[dim] - steps[dim] * j[dim]
            limits[axis] = starts[axis] + last[dim] - first[dim]
        return jnp.expand_dims(lax.slice(array, starts, limits), window_axes(g))

    terms = [
        term(_offsets_of_turn(g, j), *(seen(array, j) for array in wide))
        for j in itertools.product(*map(range, turns(g)))
    ]
    dx = _in_a_row(g, pairwise_sum(terms))
    starts, limits = [0] * dx.ndim, list(dx.shape)
    for axis, n, s, m, (low, _) in zip(
        g.spatial_axes, g.size, g.stride, first, g.padding, strict=True
    ):
        starts[axis] = low - s * m
        limits[axis] = starts[axis] + n
    return lax.slice(dx, starts, limits)


def offsets_of_tiles(g: Windows) -> np.ndarray | Array:
    """Return all offsets, flat in row-major order, on the window axes of `tiles`."""
    count, own = math.prod(g.window), window_axes(g)
    xp: ModuleType = np if isinstance(count, int) else jnp
    flat = xp.arange(count, dtype=np.int32).reshape(g.window)
    return xp.expand_dims(flat, [axis for axis in range(2 * g.dims + 2) if axis not in own])


def turns(g: Windows) -> Ints:
    """Return the number of j in each dimension: ⌈K/s⌉."""
    return tuple(-(-k // s) for k, s in zip(g.window, g.stride, strict=True))


def _offsets_of_turn(g: Windows, j: Ints) -> np.ndarray:
    """Return the offsets s·j + r for all r, on the axes of r; Π K if beyond the window."""
    inside, flat = np.asarray(True), np.asarray(0)
    for i, k, s in zip(j, g.window, g.stride, strict=True):
        a = s * i + np.arange(s)
        inside = np.logical_and.outer(inside, a < k)
        flat = np.add.outer(flat * k, a)
    table = np.where(inside, flat, math.prod(g.window))
    beside = [1] * (2 * g.dims + 2)
    for axis, s in zip(window_axes(g), g.stride, strict=True):
        beside[axis] = s
    return table.reshape(beside)


def sum_back(g: Windows, part: Array) -> Array:
    """Return `overlap_add` of one part that is the same at every offset.

    Windows side by side repeat their part. Otherwise, if there are many terms, the sum is taken one
    dimension after the other, because a window is a product of intervals. This adds Σ ⌈K/s⌉ terms
    instead of Π ⌈K/s⌉. A dimension with very many terms takes only log ⌈K/s⌉ steps.
    """
    if side_by_side(g):
        return _repeat(g, part)
    if math.prod(turns(g)) <= FEW_OFFSETS:
        return _sum_back_at_once(g, part)
    for dim in range(g.dims):
        once = along(g, dim)
        long = turns(once)[dim] > LONG_SUM and once.dilation[dim] == 1
        part = _sum_back_long(once, dim, part) if long else _sum_back_at_once(once, part)
    return part


def _sum_back_at_once(g: Windows, part: Array) -> Array:
    return add_back(g, partial(_inside, math.prod(g.window)), part)


def _sum_back_long(g: Windows, dim: int, part: Array) -> Array:
    """Return `sum_back` in one dimension, for windows of q = ⌊K/s⌋ tiles of s positions and r more.

    Tile m is in the windows m − q + 1 to m. Its first r positions are also in window m − q.
    """
    s, o, (low, _) = g.stride[dim], g.output[dim], g.padding[dim]
    count, rest = divmod(g.window[dim], s)
    edges = [(count - 1, count - 1) if a == dim else (0, 0) for a in range(g.dims)]
    of_tiles = running_sum(g.spatial_axes[dim], count, pad_zeros(part, g.on_axes(edges, (0, 0))))

    dx = _sum_back_at_once(placed(g, dim, s, s, low, o + count - 1), of_tiles)
    if rest:
        dx = dx + _sum_back_at_once(placed(g, dim, rest, s, low - count * s, o), part)
    return dx


def _inside(count: int, a: np.ndarray, part: Array) -> Array:
    """Return the part where the offset a is inside the window, otherwise 0."""
    return jnp.where(a < count, part, 0)


def side_by_side(g: Windows) -> bool:
    """Return whether the windows have no overlaps, gaps or holes."""
    return all(
        (s == k or o == 1) and (d == 1 or k == 1)
        for k, s, d, o in zip(g.window, g.stride, g.dilation, g.output, strict=True)
    )


def tiles(g: Windows, x: Array, fill: float) -> tuple[Array, Ints]:
    """Split x into windows side by side, (…, n_out, K, …), and return the axes of K with it."""
    widths = [(low, high, 0) for low, high in g.covering]
    x = lax.pad(x, jnp.asarray(fill, x.dtype), g.on_axes(widths, (0, 0, 0)))
    # One axis at a time, because JAX cannot split two at once if another axis is sharded.
    for axis, o, k in reversed(list(zip(g.spatial_axes, g.output, g.window, strict=True))):
        x = x.reshape(*x.shape[:axis], o, k, *x.shape[axis + 1 :])
    return x, window_axes(g)


def tiles_with_gaps(g: Windows, x: Array, fill: float) -> tuple[Array, Ints]:
    """Return `tiles` of windows that may have gaps between them."""
    gaps = [max(s - k, 0) for s, k in zip(g.stride, g.window, strict=True)]
    padding = [(low, high + gap) for (low, high), gap in zip(g.padding, gaps, strict=True)]
    whole = tuple(k + gap for k, gap in zip(g.window, gaps, strict=True))
    values, axes = tiles(replace(g, window=whole, padding=tuple(padding)), x, fill)
    for axis, k, gap in zip(axes, g.window, gaps, strict=True):
        values = lax.slice_in_dim(values, 0, k, axis=axis) if gap else values
    return values, axes


def window_axes(g: Windows) -> Ints:
    """Return the axes of `tiles` that run over the offsets of a window."""
    return tuple(axis + dim + 1 for dim, axis in enumerate(g.spatial_axes))


def _in_a_row(g: Windows, tiled: Array) -> Array:
    """Merge each axis of windows with the axis of its offsets into one axis of positions."""
    for axis in g.spatial_axes:
        o, k = tiled.shape[axis : axis + 2]
        tiled = tiled.reshape(*tiled.shape[:axis], o * k, *tiled.shape[axis + 2 :])
    return tiled


def _repeat(g: Windows, part: Array) -> Array:
    """Repeat the part of each window at all its positions, for windows side by side."""
    tiled = jnp.expand_dims(part, window_axes(g))
    shape = list(tiled.shape)
    for axis, k in zip(window_axes(g), g.window, strict=True):
        shape[axis] = k
    return _without_padding(g, _in_a_row(g, jnp.broadcast_to(tiled, shape)), g.reach)


def window_sum(g: Windows, x: Array) -> Array:
    """Return the sum of each window; x is in its accumulator dtype, and padding is 0."""
    if side_by_side(g) and math.prod(g.output) == 1:
        values, axes = tiles(g, x, 0)
        return jnp.sum(values, axes)
    if explicit_sharding(x):
        return _sum_all(g, x)
    if not at_least(x.nbytes, LEAST_BYTES):
        return _sum_in_parts(g, x)
    return lax.platform_dependent(x, cpu=partial(_sum_in_parts, g), default=partial(_sum_all, g))


def _sum_in_parts(g: Windows, x: Array) -> Array:
    """Sum windows offset by offset if the offsets are few, otherwise dimension by dimension.

    For `reduce_window` XLA's CPU backend goes through each window number by number: 3×3,
    64×32×32×64, takes 2.8 ms offset by offset and 20 ms by `reduce_window`.
    """
    if math.prod(g.window) <= FEW_OFFSETS:
        return pairwise_sum(list(views(g, x, 0)))
    for dim in reversed(range(g.dims)):
        once = along(g, dim)
        x = _sum_long(once, dim, x) if turns(once)[dim] > LONG_SUM else _sum_all(once, x)
    return x


def _sum_long(g: Windows, dim: int, x: Array) -> Array:
    """Sum windows in one dimension, each of q = ⌊K/s⌋ tiles of s positions and r more."""
    s, o, (low, _), axis = g.stride[dim], g.output[dim], g.padding[dim], g.spatial_axes[dim]
    count, rest = divmod(g.window[dim], s)

    def sums(g: Windows) -> Array:
        values, axes = tiles_with_gaps(g, x, 0)
        return jnp.sum(values, axes)

    total = running_sum(axis, count, sums(placed(g, dim, s, s, low, o + count - 1)))
    return total + sums(placed(g, dim, rest, s, low - count * s, o)) if rest else total


def _sum_all(g: Windows, x: Array) -> Array:
    # What lies beyond the last window is cropped by lax.pad, because reduce_window cannot crop.
    # Less than a stride stays: it needs no copy, because no further window fits into it.
    around = g.covering if g.known else g.padding
    cuts = [
        (min(low, 0), high if high <= -s else 0, 0)
        for (low, high), s in zip(around, g.stride, strict=True)
    ]
    border = [(max(low, 0), max(high, 0)) for low, high in around]
    return lax.reduce_window(
        lax.pad(x, jnp.zeros((), x.dtype), g.on_axes(cuts, (0, 0, 0))),
        np.zeros((), x.dtype),
        lax.add,
        g.on_axes(g.window, 1),
        g.on_axes(g.stride, 1),
        g.on_axes(border, (0, 0)),
    )


def along(g: Windows, dim: int) -> Windows:
    """Return the windows in one dimension; earlier ones have x's size, later ones that of y."""

    def only(values: tuple[T, ...], otherwise: T) -> tuple[T, ...]:
        return tuple(v if i == dim else otherwise for i, v in enumerate(values))

    sizes = enumerate(zip(g.size, g.output, strict=True))
    return replace(
        g,
        size=tuple(n if i <= dim else o for i, (n, o) in sizes),
        window=only(g.window, 1),
        stride=only(g.stride, 1),
        dilation=only(g.dilation, 1),
        padding=only(g.padding, (0, 0)),
    )


def placed(g: Windows, dim: int, window: int, stride: int, low: int, count: int) -> Windows:
    """Return `count` windows in one dimension of g; the first starts `low` before x."""

    def here(values: tuple[T, ...], value: T) -> tuple[T, ...]:
        return (*values[:dim], value, *values[dim + 1 :])

    high = stride * (count - 1) + window - g.size[dim] - low
    return replace(
        g,
        window=here(g.window, window),
        stride=here(g.stride, stride),
        dilation=here(g.dilation, 1),
        padding=here(g.padding, (low, high)),
        ceil_mode=False,
    )


def first_and_count(
    g: Windows, border: Sequence[tuple[int, int]]
) -> list[tuple[np.ndarray | Array, np.ndarray | Array]]:
    """Return, per dimension and window, the first offset within n and this border, and their count.

    If there are none, the first is 0.
    """
    spans = []
    for n, k, s, d, o, (before, _), (low, high) in zip(
        g.size, g.window, g.stride, g.dilation, g.output, g.padding, border, strict=True
    ):
        xp: ModuleType = np if all(isinstance(size, int) for size in (n, k, o)) else jnp
        n, k = as_number(n, int), as_number(k, int)
        start = s * xp.arange(o) - before
        first = xp.clip(-((start + low) // d), 0, k)
        stop = xp.clip((n + high - 1 - start) // d + 1, 0, k)
        count = xp.maximum(stop - first, 0)
        spans.append((xp.where(count > 0, first, 0), count))
    return spans


def landing(g: Windows, border: Sequence[tuple[int, int]]) -> list[np.ndarray | Array]:
    """Return, per dimension, a table [window i, offset a]: is it within n and this border?"""
    tables = []
    for n, k, s, d, o, (before, _), (low, high) in zip(
        g.size, g.window, g.stride, g.dilation, g.output, g.padding, border, strict=True
    ):
        xp: ModuleType = np if all(isinstance(size, int) for size in (o, k)) else jnp
        n = as_number(n, int)
        p = s * xp.arange(o)[:, None] + d * xp.arange(k)[None, :] - before
        tables.append((p >= -low) & (p < n + high))
    return tables
