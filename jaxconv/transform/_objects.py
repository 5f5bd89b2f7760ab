"""Objects of `flax.nnx` among the arguments of a call, whose state the call may change in place.

A traced function works on a copy of its arguments. The state that it leaves in the copies is
therefore one more result, which is written back into the objects of the caller.
"""

import sys
from collections.abc import Sequence
from typing import Any


def is_object(leaf: object) -> bool:
    """Return whether this is a module, an optimizer, a variable or another object of `flax.nnx`."""
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(leaf, (nnx.Pytree, nnx.Variable))


def split(objects: Sequence[Any]) -> tuple[Any, Any]:
    """Return what the objects are made of, and the arrays in them."""
    nnx = sys.modules["flax.nnx"]
    return nnx.split(list(objects))


def merge(made_of: Any, state: Any) -> list[Any]:
    """Return copies of the objects with these arrays."""
    return sys.modules["flax.nnx"].merge(made_of, state)


def update(objects: Sequence[Any], state: Any) -> None:
    """Write arrays into the objects."""
    sys.modules["flax.nnx"].update(list(objects), state)
