r"""Extending an array beyond its border, and the way back.

All padding that copies is one map of positions. With n positions along an axis and
p = −low, …, n + high − 1,

    y[p] = x[π(p)],         dx[q] = Σ_{p : π(p) = q} dy[p],

    circular    π(p) = p mod n
    replicate   π(p) = min(max(p, 0), n − 1)
    reflect     π(p) = r if r < n else 2·(n−1) − r,   r = p mod 2·(n−1)     (0 if n = 1)

and π(p) = p inside. Outside, π is made of runs that step by +1, −1 or 0, so both
directions are slices: `extend` copies each run out, `retract` adds each run's cotangent
back onto where it was copied from. Several axes are padded one after the other.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

Mode = Literal["reflect", "replicate", "circular"]


def extend(x: Array, padding: Sequence[tuple[int, int]], axes: Sequence[int], mode: Mode) -> Array:
    """y[p] = x[π(p)] along every axis in `axes`; any padding, however wide."""
    for axis, (low, high) in zip(axes, padding, strict=True):
        before, after = _runs(x.shape[axis], low, high, mode)
        x = jnp.concatenate(
            [*(_copy(x, run, axis) for run in before), x, *(_copy(x, run, axis) for run in after)],
            axis=axis,
        )
    return x


def retract(
    dy: Array, padding: Sequence[tuple[int, int]], axes: Sequence[int], mode: Mode
) -> Array:
    """dx[q] = Σ_{p : π(p) = q} dy[p], the transpose of `extend`."""
    for axis, (low, high) in reversed(list(zip(axes, padding, strict=True))):
        n = dy.shape[axis] - low - high
        dx = lax.slice_in_dim(dy, low, low + n, axis=axis)
        before, after = _runs(n, low, high, mode)
        for start, runs in ((0, before), (low + n, after)):
            for run in runs:
                piece = lax.slice_in_dim(dy, start, start + run.length, axis=axis)
                dx = dx + _gather_back(piece, run, n, axis)
                start += run.length
        dy = dx
    return dy


class _Run(NamedTuple):
    """Neighbouring padded positions whose sources are start, start + step, …"""

    start: int
    step: Literal[-1, 0, 1]
    length: int


def _runs(n: int, low: int, high: int, mode: Mode) -> tuple[list[_Run], list[_Run]]:
    """The runs of π before the first and after the last position of the input."""
    p = np.arange(-low, n + high)
    if mode == "circular":
        source = p % n
    elif mode == "replicate" or n == 1:
        source = np.clip(p, 0, n - 1)
    else:
        r = p % (2 * (n - 1))
        source = np.where(r < n, r, 2 * (n - 1) - r)
    return _split(source[:low].tolist()), _split(source[low + n :].tolist())


def _split(source: list[int]) -> list[_Run]:
    """Cut a list of positions into runs, each as long as it can be."""
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
    """The cotangent of a run, laid over the n positions it was copied from."""
    first = run.start
    if run.step == 0:
        piece = jnp.sum(piece, axis=axis, keepdims=True)
    elif run.step == -1:
        piece = lax.rev(piece, (axis,))
        first = run.start - run.length + 1
    widths = [(0, 0, 0)] * piece.ndim
    widths[axis] = (first, n - first - piece.shape[axis], 0)
    return lax.pad(piece, jnp.zeros((), piece.dtype), widths)
