"""The arrays of a network by name."""

from collections.abc import Iterator
from typing import Any

import jax
from jax import Array


def named(tree: Any) -> Iterator[tuple[str, Array]]:
    """Yield each array with its name, "conv1.w", in the order in which dictionaries have them."""
    if not isinstance(tree, dict):
        for path, leaf in jax.tree.leaves_with_path(tree):
            yield jax.tree_util.keystr(path, simple=True, separator="."), leaf
        return
    for key, value in tree.items():
        for name, leaf in named(value):
            yield f"{key}.{name}" if name else str(key), leaf


def filled(like: Any, leaves: dict[str, Any]) -> Any:
    """Return a tree like this one, of the arrays with the names of its arrays."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: leaves[jax.tree_util.keystr(path, simple=True, separator=".")], like
    )
