"""Objects of `flax.nnx` among the arguments of a call, whose state the call may change in place.

A traced function works on a copy of its arguments. The state that it leaves in the copies is
therefore one more result, which is written back into the objects of the caller.
"""

import sys
from collections.abc import Callable, Hashable

import jax

from jaxconv._core.types import Values


def among(arguments: Values) -> Callable[[object], bool]:
    """Return a function that says whether a part of the arguments is an object of `flax.nnx`.

    Modules, optimizers and the like are objects wherever they stand. A variable is one if it is an
    argument itself; the variables in a `State` belong to a value, which nobody changes in place.
    """
    nnx = sys.modules.get("flax.nnx")
    if nnx is None:
        return lambda leaf: False
    variables = {id(one) for one in arguments if isinstance(one, nnx.Variable)}
    return lambda leaf: isinstance(leaf, nnx.Pytree) or id(leaf) in variables


def split(objects: Values) -> tuple[object, object]:
    """Return what the objects are made of, and the arrays in them."""
    nnx = sys.modules["flax.nnx"]
    return nnx.split(list(objects))


def merge(made_of: object, state: object) -> list[object]:
    """Return copies of the objects with these arrays."""
    return sys.modules["flax.nnx"].merge(made_of, state)


def contents(state: object) -> dict[Hashable, list[object]]:
    """Return the arrays of a state by path; the variables that hold them may be changed later."""
    nnx = sys.modules["flax.nnx"]
    return {path: jax.tree.leaves(leaf) for path, leaf in nnx.to_flat_state(state)}


def changed(before: dict[Hashable, list[object]], after: object) -> object:
    """Return the part of a state whose arrays are not the ones that were there before."""
    nnx = sys.modules["flax.nnx"]

    def is_new(path: Hashable, leaf: object) -> bool:
        old, new = before.get(path, []), jax.tree.leaves(leaf)
        return len(old) != len(new) or any(a is not b for a, b in zip(old, new, strict=True))

    new = [(path, leaf) for path, leaf in nnx.to_flat_state(after) if is_new(path, leaf)]
    return nnx.from_flat_state(new)


def update(objects: Values, state: object) -> None:
    """Write arrays into the objects."""
    sys.modules["flax.nnx"].update(list(objects), state)
