"""Smaller arguments for a call, on which a diagnosis must hold too."""

from collections.abc import Iterator

import jax
import numpy as np
from jax import Array

from jaxconv._core.types import Values
from jaxconv.check.leaves import is_float


def smaller(args: Values) -> Iterator[tuple[object, ...]]:
    """Yield arguments cut by one: along all axes of the same size at once, then along single axes.

    The rule may refuse some of them.
    """
    leaves, tree = jax.tree.flatten(tuple(args))
    axes = [
        (i, axis, leaf.shape[axis])
        for i, leaf in enumerate(leaves)
        if is_float(leaf)
        for axis in range(leaf.ndim)
        if leaf.shape[axis] > 2
    ]
    sizes = list(dict.fromkeys(size for _, _, size in axes))
    for size in sizes:
        along = [[n for n, s in enumerate(np.shape(leaf)) if s == size] for leaf in leaves]
        yield jax.tree.unflatten(tree, list(map(_cut, leaves, along)))
    for i, axis, _ in axes:
        yield jax.tree.unflatten(tree, [*leaves[:i], _cut(leaves[i], [axis]), *leaves[i + 1 :]])


def _cut(leaf: Array | np.ndarray, axes: list[int]) -> Array | np.ndarray:
    for axis in axes:
        leaf = leaf[(slice(None),) * axis + (slice(-1),)]
    return leaf
