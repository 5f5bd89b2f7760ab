"""Barriers against fusion: they decide what XLA keeps in memory and what it computes again."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.sharding import explicit_sharding
from jaxconv._core.symbolic import at_least
from jaxconv._core.types import Function

try:
    from jax.experimental import xla_metadata
except ImportError:  # a later JAX may drop it: then calls are inlined, and nothing else changes
    xla_metadata = None  # type: ignore[assignment]

# Below this size in bytes, a separate copy is assumed (not measured) to cost more than it saves.
LEAST_BYTES = 2**18
# Positions with fewer channels are padded one row at a time, because XLA's CPU backend copies
# positions of at most 64 channels number by number. Depthwise 3×3, y, 64×32×32×64, takes 1.9 ms so
# and 2.5 ms otherwise.
WIDE = 128


def materialize_on_cpu(compute: Callable[..., Array], x: Array, *others: object) -> Array:
    """Return compute(x, *others), of the shape and dtype of x, on a CPU as a separate array.

    XLA fuses a cheap operation into everything that reads its result. If a forward and a backward
    pass both read it, both compute it, and its operands stay in memory for the backward pass, in
    addition to the residuals of the rule. XLA fuses nothing into or out of a branch of a condition,
    and does not know before run time which branch is taken here. The other branch returns x, so
    that the result can overwrite x, which is not possible with a call (`call_unfused`).
    """
    if not at_least(x.nbytes, LEAST_BYTES):
        return compute(x, *others)
    return lax.platform_dependent(x, *others, cpu=partial(_in_place, compute), default=compute)


def _in_place(compute: Callable[..., Array], x: Array, *others: object) -> Array:
    always = lax.optimization_barrier(jnp.asarray(True))
    return lax.cond(always, compute, lambda x, *_: x, x, *others)


def call_unfused(compute: Function, *operands: object) -> Any:
    """Return compute(*operands), computed in a call that XLA is told not to inline.

    XLA fuses nothing into or out of a call. An XLA that does not know the attribute inlines the
    call as usual, and the numbers are the same.
    """

    def call(*operands: object) -> object:
        # Calls inside this call are inlined as usual.
        with _inlineable(None):
            return compute(*operands)

    with _inlineable("false"):
        return jax.jit(call)(*operands)


def call_unfused_on_cpu(compute: Function, x: Array, *others: object) -> Any:
    """Return compute(x, *others), on a CPU by `call_unfused`.

    On a mesh with Explicit axes there is no call, because it would have to name its shardings.
    """
    if explicit_sharding(x):
        return compute(x, *others)
    return lax.platform_dependent(x, *others, cpu=partial(call_unfused, compute), default=compute)


def _inlineable(value: str | None) -> AbstractContextManager[object]:
    """Return a context in which calls get this value of the attribute `inlineable`."""
    return (
        nullcontext() if xla_metadata is None else xla_metadata.set_xla_metadata(inlineable=value)
    )


def pad_zeros(x: Array, edges: Sequence[tuple[int, int]]) -> Array:
    """Pad each axis of x with (before, after) zeros; on a CPU the result is a separate array.

    A loop that reads a padded array in several places, and is fused with the padding, tests at each
    place whether it lies outside: `add_back` of 3×3 windows takes 2.0 ms so and 16 ms fused.
    """
    if not any(map(any, edges)):
        return x
    # On a mesh with Explicit axes a call would have to name the sharding of the copy.
    if not at_least(x.nbytes, LEAST_BYTES) or explicit_sharding(x):
        return _padded(x, edges)
    return lax.platform_dependent(
        x, cpu=partial(pad_zeros_unfused, edges=edges), default=partial(_padded, edges=edges)
    )


def pad_zeros_unfused(x: Array, edges: Sequence[tuple[int, int]]) -> Array:
    """Pad each axis of x with (before, after) zeros, where the platform is a CPU.

    The operations that compute x are not fused into the copy, where they would be evaluated number
    by number.
    """
    if not any(map(any, edges)):
        return x
    if not at_least(x.nbytes, LEAST_BYTES):
        return _padded(x, edges)
    return call_unfused(partial(pad_zeros_by_rows, edges=edges), x)


def _padded(x: Array, edges: Sequence[tuple[int, int]]) -> Array:
    return lax.pad(x, jnp.zeros((), x.dtype), [(*edge, 0) for edge in edges])


def pad_zeros_by_rows(x: Array, edges: Sequence[tuple[int, int]]) -> Array:
    """Pad each axis of x with (before, after) zeros, row by row if channels are few."""
    zero = jnp.zeros((), x.dtype)
    *others, size, last = x.shape
    *rest, row, own = ((*edge, 0) for edge in edges)
    if any(edges[-1]) or last >= WIDE:
        return lax.pad(x, zero, (*rest, row, own))
    low, high = (last * n for n in edges[-2])
    flat = lax.pad(x.reshape(*others, size * last), zero, (*rest, (low, high, 0)))
    return flat.reshape(*flat.shape[:-1], sum(edges[-2]) + size, last)
