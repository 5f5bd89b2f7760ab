"""Combine K neighbours in log₂ K steps, because a run of 2w neighbours is two runs of w.

    F_1[p]  = x[p]
    F_2w[p] = F_w[p] ∘ F_w[p + w]

where ∘ is associative: a sum, a maximum, or a maximum with its first position. A run of any length
K consists of runs whose lengths are powers of two. These are disjoint, one for each bit of K, or,
if x ∘ x = x, two runs that may overlap.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.barriers import call_unfused_on_cpu

LONG = 32
"""Extremes of windows with more elements than this along a dimension are found by doubling. The
gradient of max pool, 4×8192×64, window 64, stride 1, takes 7.2 ms so and 20.7 ms otherwise."""

LONG_SUM = 64
"""Sums of more neighbours than this are taken by doubling. Both passes of average pooling,
4×8192×64, window 128, stride 1, take 13 ms so and 112 ms otherwise."""

Arrays = tuple[Array, ...]


def runs(
    combine: Callable[[Arrays, Arrays, int], Arrays],
    axis: int,
    hop: int,
    count: int,
    *arrays: Array,
    overlap: bool = False,
) -> Arrays:
    """Combine each `count` neighbours along an axis that are `hop` apart.

    `combine(left, right, apart)` is ∘ for the arrays of two runs, of which the right one starts
    `apart` neighbours after the left one. With `overlap` two runs may share neighbours. The axis
    becomes (count − 1)·hop shorter.
    """
    length = arrays[0].shape[axis] - (count - 1) * hop

    def joined(left: Arrays, right: Arrays, apart: int) -> Arrays:
        def join(*both: Array) -> Arrays:
            return combine(both[: len(left)], both[len(left) :], apart)

        return call_unfused_on_cpu(join, *left, *right)

    def doubled(arrays: Arrays, width: int) -> Arrays:
        def double(*arrays: Array) -> Arrays:
            size = arrays[0].shape[axis] - width * hop
            left, right = (_cut(axis, arrays, start, size) for start in (0, width * hop))
            return combine(left, right, width)

        return call_unfused_on_cpu(double, *arrays)

    total: Arrays | None = None
    width, done = 1, 0
    while True:
        if count & width and not overlap:
            piece = _cut(axis, arrays, done * hop, length)
            total = piece if total is None else joined(total, piece, done)
            done += width
        if 2 * width > count:
            break
        arrays = doubled(arrays, width)
        width *= 2
    if total is not None:
        return total
    left = _cut(axis, arrays, 0, length)
    rest = count - width
    return joined(left, _cut(axis, arrays, rest * hop, length), rest) if rest else left


def _cut(axis: int, arrays: Arrays, start: int, length: int) -> Arrays:
    return tuple(lax.slice_in_dim(a, start, start + length, axis=axis) for a in arrays)


def running_sum(axis: int, count: int, x: Array) -> Array:
    """Return the sum of every `count` neighbours along an axis, which becomes count − 1 shorter."""
    (total,) = runs(_add, axis, 1, count, x)
    return total


def _add(left: Arrays, right: Arrays, apart: int) -> Arrays:
    return tuple(map(jnp.add, left, right))
