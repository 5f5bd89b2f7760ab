r"""Padding: extend an array beyond its border, and add the cotangents of the border back.

A mode that copies is given by a map π from the positions of y to the positions of x. With n
positions along an axis and p = −low, …, n + high − 1,

    y[p] = x[π(p)],         dx[q] = Σ_{p : π(p) = q} dy[p],

    circular    π(p) = p mod n
    replicate   π(p) = min(max(p, 0), n − 1)
    reflect     π(p) = r if r < n else 2·(n−1) − r,   r = p mod 2·(n−1)     (0 if n = 1)

and π(p) = p inside x. Outside, π consists of runs that step by +1, −1 or 0, so both
passes need only slices: `extend` copies each run into the border, and `retract` adds the
cotangent of each run to the positions it was copied from. Several axes are padded one
after the other.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxconv._core.arguments import (
    PadMode,
    PairsLike,
    accumulator,
    as_array,
    as_float,
    as_int,
    check_number,
    check_option,
    is_sequence,
)
from jaxconv._core.geometry import Pairs
from jaxconv._core.rule import Rule
from jaxconv._core.shapes import Shaped
from jaxconv._core.symbolic import check_enough

CopyMode = Literal["reflect", "replicate", "circular"]


def pad(
    x: Shaped[Array, "*shape"], widths: PairsLike, *, mode: PadMode = "constant", value: float = 0.0
) -> Shaped[Array, "*padded"]:
    r"""Add a border to x, or crop x.

        y[p] = x[π(p)]                              constant:  y[p] = x[p] in x, else value
        dx[q] = Σ_{p : π(p) = q} dy[p]                         dx[q] = dy[q]

    along every axis, for p = −low, …, n + high − 1 and the map π of the mode (`jaxconv.padding`).
    The cotangent of a copied element is added to the element it was copied from, the cotangent of
    a constant border is dropped, and an element of x that is not in y gets the gradient 0. Nothing
    is saved for the backward pass.

    Example:
        >>> import jax.numpy as jnp
        >>> pad(jnp.arange(4.0), [(2, -1)], mode="reflect").tolist()
        [2.0, 1.0, 0.0, 1.0, 2.0]

    Args:
        x: input, any shape; floats or integers.
        widths: one (low, high) pair per axis; a negative number crops. A border may be wider
            than x: then the pattern continues, as in `jnp.pad`.
        mode: "constant", "reflect" (without repeating the edge), "replicate" or "circular".
        value: the value of a constant border.

    Returns:
        y in the dtype of x, with n + low + high positions along each axis.

    Raises:
        TypeError: x is not an array of numbers, a width is not an int, or value is not a number.
        ValueError: widths does not hold one pair per axis, an axis is shorter than what is cropped
            or has nothing to copy, or the mode is unknown.

    The derivation: docs/derivations/conv.md, section 6.
    """
    x = as_array("pad", "x", x)
    check_number("pad", x=x)
    check_option("pad", "mode", mode, PadMode)
    value = as_float("pad", "value", value)
    if not is_sequence(widths) or len(widths) != x.ndim:
        raise ValueError(
            f"pad: widths must be {x.ndim} (low, high) pairs, one per axis of x of shape"
            f" {x.shape}, but got {widths!r}"
        )
    pairs = []
    for axis, (n, pair) in enumerate(zip(x.shape, widths, strict=True)):
        if not is_sequence(pair) or len(pair) != 2:
            raise ValueError(f"pad: widths[{axis}] must be a (low, high) pair, but got {pair!r}")
        low, high = (as_int("pad", f"widths[{axis}]", width, -(2**31)) for width in pair)
        if n + low + high < 0:
            raise ValueError(f"pad: widths[{axis}] crops {-low - high} of {n}, got {pair!r}")
        if mode != "constant" and n == 0 < max(low, high):
            raise ValueError(f"pad: mode {mode!r} has nothing to copy, x has shape {x.shape}")
        pairs.append((low, high))
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return _padded(tuple(pairs), mode, value, x)  # integers have no cotangent
    return _pad(tuple(pairs), mode, value, x)


def _padded(widths: Pairs, mode: PadMode, value: float, x: Array) -> Array:
    if mode == "constant":
        filling = jnp.asarray(value).astype(x.dtype)
        return lax.pad(x, filling, [(low, high, 0) for low, high in widths])
    return extend(x, widths, range(x.ndim), mode)


def _pad_forward(widths: Pairs, mode: PadMode, value: float, x: Array) -> tuple[Array, None]:
    return _padded(widths, mode, value, x), None


def _pad_backward(
    widths: Pairs, mode: PadMode, value: float, residuals: None, dy: Array
) -> tuple[Array]:
    if mode == "constant":
        zero = jnp.zeros((), dy.dtype)
        return (lax.pad(dy, zero, [(-low, -high, 0) for low, high in widths]),)
    wide = dy.astype(accumulator(dy.dtype))
    return (retract(wide, widths, range(dy.ndim), mode).astype(dy.dtype),)


_pad = Rule(_pad_forward, _pad_backward, static=3)


def extend(x: Array, widths: Pairs, axes: Sequence[int], mode: CopyMode) -> Array:
    """Return y[p] = x[π(p)] along every axis in `axes`; widths may be negative or exceed n."""
    for axis, (low, high) in zip(axes, widths, strict=True):
        if not (low or high):
            continue
        before, inside, after = _parts(x.shape[axis], low, high, mode)
        x = jnp.concatenate(
            [
                *(_copy(x, run, axis) for run in before),
                lax.slice_in_dim(x, inside.start, inside.stop, axis=axis),
                *(_copy(x, run, axis) for run in after),
            ],
            axis=axis,
        )
    return x


def retract(dy: Array, widths: Pairs, axes: Sequence[int], mode: CopyMode) -> Array:
    """Return dx[q] = Σ_{p : π(p) = q} dy[p], the transpose of `extend`."""
    for axis, (low, high) in reversed(list(zip(axes, widths, strict=True))):
        if not (low or high):
            continue
        n = dy.shape[axis] - low - high
        before, inside, after = _parts(n, low, high, mode)
        start, laid = 0, []
        for run in (*before, _Run(inside.start, 1, inside.stop - inside.start), *after):
            piece = lax.slice_in_dim(dy, start, start + run.length, axis=axis)
            laid.append(_gather_back(piece, run, n, axis))
            start += run.length
        dy = reduce(jnp.add, laid)
    return dy


class _Run(NamedTuple):
    """A run of positions of y that are copied from start, start + step, and so on in x."""

    start: int
    step: Literal[-1, 0, 1]
    length: int


class _Kept(NamedTuple):
    """The positions of x from start to stop − 1."""

    start: int
    stop: int


Parts = tuple[list[_Run], _Kept, list[_Run]]


def _parts(n: int, low: int, high: int, mode: CopyMode) -> Parts:
    """Return the runs of π before x, the part of x that is kept, and the runs of π after x."""
    if not isinstance(n, int):
        return _parts_of_unknown(n, low, high, mode)
    p = np.arange(-low, n + high)
    source = _source(p, n, mode) if n else p
    kept = np.flatnonzero((p >= 0) & (p < n))
    inside = _Kept(int(p[kept[0]]), int(p[kept[-1]]) + 1) if kept.size else _Kept(0, 0)
    return _split(source[p < 0].tolist()), inside, _split(source[p >= n].tolist())


def _parts_of_unknown(n: int, low: int, high: int, mode: CopyMode) -> Parts:
    """Return `_parts` of an axis whose size is a symbol (`jax.export`).

    Unless the mode is "replicate", the size must be known to be so large that neither border copies
    a position twice. If JAX cannot tell, the comparison raises JAX's error, which gives advice.
    """
    if mode != "replicate":
        check_enough("pad", mode, n, max(low, high) + (mode == "reflect"))
    first: dict[str, _Run] = {
        "reflect": _Run(low, -1, low),
        "replicate": _Run(0, 0, low),
        "circular": _Run(n - low, 1, low),
    }
    last: dict[str, _Run] = {
        "reflect": _Run(n - 2, -1, high),
        "replicate": _Run(n - 1, 0, high),
        "circular": _Run(0, 1, high),
    }
    before = [first[mode]] if low > 0 else []
    after = [last[mode]] if high > 0 else []
    return before, _Kept(max(-low, 0), n - max(-high, 0)), after


def _source(p: np.ndarray, n: int, mode: CopyMode) -> np.ndarray:
    """Return π(p)."""
    if mode == "circular":
        return p % n
    if mode == "replicate" or n == 1:
        return np.clip(p, 0, n - 1)
    r = p % (2 * (n - 1))
    return np.where(r < n, r, 2 * (n - 1) - r)


def _split(source: list[int]) -> list[_Run]:
    """Cut a list of positions into runs that are as long as possible."""
    runs: list[_Run] = []
    for q in source:
        last = runs[-1] if runs else None
        if last is not None:
            step = last.step if last.length > 1 else q - last.start
            if step in (-1, 0, 1) and q == last.start + step * last.length:
                runs[-1] = _Run(last.start, step, last.length + 1)  # type: ignore[arg-type]
                continue
        runs.append(_Run(q, 1, 1))
    return runs


def _copy(x: Array, run: _Run, axis: int) -> Array:
    if run.step == 0:
        edge = lax.slice_in_dim(x, run.start, run.start + 1, axis=axis)
        return jnp.repeat(edge, run.length, axis=axis)
    first = run.start if run.step == 1 else run.start - run.length + 1
    piece = lax.slice_in_dim(x, first, first + run.length, axis=axis)
    return piece if run.step == 1 else lax.rev(piece, (axis,))


def _gather_back(piece: Array, run: _Run, n: int, axis: int) -> Array:
    """Return the cotangent of a run at the positions of x it was copied from, 0 at the others."""
    first = run.start
    if run.step == 0:
        piece = jnp.sum(piece, axis=axis, keepdims=True)
    elif run.step == -1:
        piece = lax.rev(piece, (axis,))
        first = run.start - run.length + 1
    widths = [(0, 0, 0)] * piece.ndim
    widths[axis] = (first, n - first - piece.shape[axis], 0)
    return lax.pad(piece, jnp.zeros((), piece.dtype), widths)
