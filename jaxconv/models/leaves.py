"""The arrays of a network by name."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

import jax
import numpy as np
from jax import Array

from jaxconv.models.model import Variables

T = TypeVar("T")

STATE = "state/"
"""What the names of the state begin with, beside those of the parameters."""


def named(tree: object) -> Iterator[tuple[str, Array]]:
    """Yield each array with its name, "conv1.w", in the order in which dictionaries have them."""
    if not isinstance(tree, dict):
        for path, leaf in jax.tree.leaves_with_path(tree):
            yield jax.tree_util.keystr(path, simple=True, separator="."), leaf
        return
    for key, value in tree.items():
        for name, leaf in named(value):
            yield f"{key}.{name}" if name else str(key), leaf


def filled(like: T, leaves: Mapping[str, Array | np.ndarray]) -> T:
    """Return a tree like this one, of the arrays with the names of its arrays."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: leaves[jax.tree_util.keystr(path, simple=True, separator=".")], like
    )


def by_name(variables: Variables) -> dict[str, Array]:
    """Return parameters, "conv1.w", "conv1.b", …, and state, "state/norm1.mean", …, by name."""
    state = {f"{STATE}{name}": leaf for name, leaf in named(variables.state)}
    return dict(named(variables.params)) | state


def from_names(like: Variables, leaves: Mapping[str, Array | np.ndarray]) -> Variables:
    """Return variables like these, of the arrays that have the names of `by_name`."""
    state = {
        name.removeprefix(STATE): leaf for name, leaf in leaves.items() if name.startswith(STATE)
    }
    return Variables(filled(like.params, leaves), filled(like.state, state))
