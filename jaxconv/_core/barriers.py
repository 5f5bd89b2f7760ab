"""What is kept in memory, and what is computed again."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.sharding import explicit_sharding
from jaxconv._core.symbolic import at_least

try:
    from jax.experimental import xla_metadata
except ImportError:  # in a JAX to come, maybe: then calls are inlined, and nothing else changes
    xla_metadata = None  # type: ignore[assignment]

# Caution, not a measurement: of fewer bytes no copy is worth one of its own.
LEAST_BYTES = 2**18
# Positions of fewer channels are padded a row of them at a time: of 64 and fewer XLA's CPU backend
# unrolls the copy into numbers. Depthwise 3×3, y, ms: 64×32×32×64 1.9 for 2.5, 32×32×32×96 1.3 for
# 1.6; 64×16×16×128 1.2 for 1.2.
WIDE = 128


def materialize_on_cpu(compute: Callable[..., Array], x: Array, *others: Any) -> Array:
    """compute(x, *others), of the shape and dtype of x, as an array of its own on a CPU.

    XLA fuses what is cheap into everything that reads it. Where a forward and a backward pass both
    read it, that keeps alive for the second what it is computed of, beside what the rule has said
    to keep. Nothing is fused into or out of the branch of a condition, and nothing is known of the
    condition here until it is run. The other branch is x itself, so the result takes the place of
    x, which a call (`call_unfused`) would not let it do.
    """
    if not at_least(x.nbytes, LEAST_BYTES):
        return compute(x, *others)
    return lax.platform_dependent(x, *others, cpu=partial(_in_place, compute), default=compute)


def _in_place(compute: Callable[..., Array], x: Array, *others: Any) -> Array:
    always = lax.optimization_barrier(jnp.asarray(True))
    return lax.cond(always, compute, lambda x, *_: x, x, *others)


def call_unfused(compute: Callable[..., Any], *operands: Any) -> Any:
    """compute(*operands), in a call that XLA is told not to inline.

    Nothing is fused into a call or out of it. An XLA that does not know the attribute inlines it as
    any other: the numbers are the same.
    """

    def call(*operands: Any) -> Any:
        # What is called in there is inlined, as everywhere.
        with _inlineable(None):
            return compute(*operands)

    with _inlineable("false"):
        return jax.jit(call)(*operands)


def call_unfused_on_cpu(compute: Callable[..., Any], x: Array, *others: Any) -> Any:
    """compute(x, *others), on a CPU `call_unfused`.

    On a mesh of Explicit axes a call would have to say how its arrays lie.
    """
    if explicit_sharding(x):
        return compute(x, *others)
    return lax.platform_dependent(x, *others, cpu=partial(call_unfused, compute), default=compute)


def _inlineable(value: str | None) -> AbstractContextManager[Any]:
    """What is called in it has this attribute."""
    return (
        nullcontext() if xla_metadata is None else xla_metadata.set_xla_metadata(inlineable=value)
    )


def pad_zeros(x: Array, edges: Sequence[tuple[int, int]]) -> Array:
    """x with so many zeros before and after it on each axis; on a CPU as an array of its own.

    A loop that reads a padded array in several places, and is fused with the padding, asks at each
    of them whether it is outside (`add_back` of 3×3 windows: 16 ms, and 2.0 of an array).
    """
    if not any(map(any, edges)):
        return x
    # On a mesh of Explicit axes the copy would have to say how it lies.
    if not at_least(x.nbytes, LEAST_BYTES) or explicit_sharding(x):
        return _padded(x, edges)
    return lax.platform_dependent(
        x, cpu=partial(pad_zeros_unfused, edges=edges), default=partial(_padded, edges=edges)
    )


def pad_zeros_unfused(x: Array, edges: Sequence[tuple[int, int]]) -> Array:
    """x with so many zeros before and after it on each axis, where the platform is a CPU.

    What computes x is not fused into the copy, where it would be looked up by its place in the row.
    """
    if not any(map(any, edges)):
        return x
    if not at_least(x.nbytes, LEAST_BYTES):
        return _padded(x, edges)
    return call_unfused(partial(pad_zeros_by_rows, edges=edges), x)


def _padded(x: Array, edges: Sequence[tuple[int, int]]) -> Array:
    return lax.pad(x, jnp.zeros((), x.dtype), [(*edge, 0) for edge in edges])


def pad_zeros_by_rows(x: Array, edges: Sequence[tuple[int, int]]) -> Array:
    """The same zeros, with a row of positions as one where positions have few channels."""
    zero = jnp.zeros((), x.dtype)
    *others, size, last = x.shape
    *rest, row, own = ((*edge, 0) for edge in edges)
    if any(edges[-1]) or last >= WIDE:
        return lax.pad(x, zero, (*rest, row, own))
    low, high = (last * n for n in edges[-2])
    flat = lax.pad(x.reshape(*others, size * last), zero, (*rest, (low, high, 0)))
    return flat.reshape(*flat.shape[:-1], sum(edges[-2]) + size, last)
