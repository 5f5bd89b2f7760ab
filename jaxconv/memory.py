"""What is kept in memory, and what is computed again."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxconv.arguments import aligned
from jaxconv.sharding import explicit_sharding

# Caution, not a measurement: of fewer bytes no copy is worth a condition.
LEAST_BYTES = 2**18


def materialized(compute: Callable[..., Array], x: Array, *others: Any) -> Array:
    """compute(x, *others), of the shape and dtype of x, as an array of its own on a CPU.

    XLA fuses what is cheap into everything that reads it. Where a forward and a backward pass both
    read it, that keeps alive for the second what it is computed of, beside what the rule has said
    to keep. Nothing is fused into or out of the branch of a condition, and nothing is known of the
    condition here until it is run.
    """
    if x.nbytes < LEAST_BYTES:
        return compute(x, *others)
    return lax.platform_dependent(x, *others, cpu=partial(unfused, compute), default=compute)


def unfused(
    compute: Callable[..., Array],
    *operands: Any,
    never: Callable[..., Array] = lambda first, *_: first,
) -> Array:
    """compute(*operands), in the branch of a condition; in the other `never`, of the same type.

    Where the first operand is of that type already, it serves.
    """
    always = lax.optimization_barrier(jnp.asarray(True))
    return lax.cond(always, compute, never, *operands)


def padded(x: Array, edges: Sequence[tuple[int, int]]) -> Array:
    """x with so many zeros before and after it on each axis; on a CPU as an array of its own.

    A loop that reads a padded array in several places, and is fused with the padding, asks at each
    of them whether it is outside (`add_back` of 3×3 windows: 16 ms, and 2.0 of an array).
    """

    def pad(x: Array) -> Array:
        return lax.pad(x, jnp.zeros((), x.dtype), [(*edge, 0) for edge in edges])

    if not any(map(any, edges)):
        return x
    # On a mesh of Explicit axes the copy would have to say how it lies.
    if x.nbytes < LEAST_BYTES or explicit_sharding(x):
        return pad(x)
    return lax.platform_dependent(x, cpu=lambda x: padded_copy(x, edges), default=pad)


def padded_copy(x: Array, edges: Sequence[tuple[int, int]]) -> Array:
    """The same copy without asking for the platform: of an x whose last axis gets no zeros.

    The last two axes are padded as one. (XLA's CPU backend unrolls the copy of a last axis of 64
    and fewer into numbers.) What computes x is not fused into it, where it would be looked up by
    its place in the row.
    """
    shape = tuple(low + n + high for n, (low, high) in zip(x.shape, edges, strict=True))
    *others, size, last = x.shape
    *rest, (low, high), own = edges
    if any(own):
        others, size, last = list(x.shape), 1, 1
        rest, (low, high) = list(edges), (0, 0)
    rows = (*((*edge, 0) for edge in rest), (last * low, last * high, 0))

    def copy(x: Array) -> Array:
        flat = x.reshape(*others, size * last)
        return lax.pad(flat, jnp.zeros((), x.dtype), rows).reshape(shape)

    return unfused(copy, x, never=zeros_of(copy))


def zeros_of(compute: Callable[..., Array]) -> Callable[..., Array]:
    """What `unfused` takes for `never` where no operand is of the type: zeros in its place."""

    def zeros(*operands: Array) -> Array:
        result = jax.eval_shape(compute, *operands)
        return aligned(*operands, jnp.zeros(result.shape, result.dtype))[-1]

    return zeros
