"""What is kept in memory, and what is computed again."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

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
