"""Runs of neighbours by doubling: a run of 2w is two runs of w, so K neighbours take log₂ K steps.

    F_1[p]  = x[p]
    F_2w[p] = F_w[p] ∘ F_w[p + w]

where ∘ is associative: a sum, a maximum, a maximum with its first position. A run of any length K
is put together of runs whose lengths are powers of two: of disjoint ones, one for each bit of K,
or of two that overlap where x ∘ x = x.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.barriers import call_unfused_on_cpu

LONG = 32
"""The extremes of windows of more elements along a dimension are found by doubling. The gradient of
max pool of 4 × 8192 × 64, window 64, stride 1: 20.7 → 7.2 ms."""

LONG_SUM = 64
"""Sums of more neighbours are taken by doubling. Forward and backward pass of average pooling of
4 × 8192 × 64, window 128, stride 1: 112 → 13 ms; of 64 both take 12 ms."""

Arrays = tuple[Array, ...]


def runs(
    combine: Callable[[Arrays, Arrays, int], Arrays],
    axis: int,
    hop: int,
    count: int,
    *arrays: Array,
    overlap: bool = False,
) -> Arrays:
    """What `count` neighbours along an axis, each `hop` after the last, combine to.

    `combine(left, right, apart)` is ∘ for the arrays of two runs; the right one starts `apart`
    neighbours after the left one. `overlap` says that the two may have neighbours in common.
    The axis gets (count − 1)·hop shorter.
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


def _cut(axis: int, arrays: Arrays, start: int, length: Any) -> Arrays:
    return tuple(lax.slice_in_dim(a, start, start + length, axis=axis) for a in arrays)


def running_sum(axis: int, count: int, x: Array) -> Array:
    """The sum of each `count` neighbours along an axis, which gets count − 1 shorter."""
    (total,) = runs(_add, axis, 1, count, x)
    return total


def _add(left: Arrays, right: Arrays, apart: int) -> Arrays:
    return tuple(map(jnp.add, left, right))
