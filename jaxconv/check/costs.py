"""Costs of a rule and of its reference: residual bytes, operations and memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxconv._core.types import Function, Values
from jaxconv.check.leaves import Leaves, pullback
from jaxconv.check.report import Costs


def residual_bytes(op: Function, arrays: Values) -> int:
    """Return the bytes that `jax.vjp` of the jitted op keeps; each array counts once.

    A kept argument counts too, although the caller may hold it anyway.
    """
    _, pull = jax.vjp(jax.jit(op), *arrays)
    kept = {}
    for leaf in jax.tree.leaves(pull):
        if isinstance(leaf, jax.Array) and not jax.dtypes.issubdtype(
            leaf.dtype, jax.dtypes.extended
        ):
            kept[leaf.unsafe_buffer_pointer()] = leaf.nbytes
        elif hasattr(leaf, "nbytes"):
            kept[id(leaf)] = leaf.nbytes
    return sum(kept.values())


def costs_of(function: Function, args: Values) -> Costs:
    """Return the costs of one forward and backward pass for all differentiated arguments."""
    leaves = Leaves.of(jax.tree.map(_as_jax, tuple(args)))
    bound = leaves.bind(function)
    arrays = leaves.arrays
    dy = [jnp.ones(y.shape, y.dtype) for y in jax.eval_shape(lambda *a: bound(*a), *arrays)]
    compiled = jax.jit(pullback(bound)).lower(arrays, dy).compile()
    counted = _asked(compiled.cost_analysis)
    counted = counted or {}
    memory = _asked(compiled.memory_analysis)
    return Costs(
        residual_bytes(bound, arrays),
        counted.get("flops"),
        counted.get("bytes accessed"),
        getattr(memory, "temp_size_in_bytes", None),
    )


def compared_costs(rule: Function, reference: Function | None, args: Values) -> dict[str, Costs]:
    """Return the costs of "rule", and of "reference" if there is one."""
    costs = {"rule": costs_of(rule, args)}
    if reference is not None:
        costs["reference"] = costs_of(reference, args)
    return costs


def _asked(question: Callable[[], Any]) -> Any:
    """Return the compiler's answer; None for a backend that gives none."""
    try:
        return question()
    except (NotImplementedError, RuntimeError):
        return None


def _as_jax(leaf: object) -> Any:
    return jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf
