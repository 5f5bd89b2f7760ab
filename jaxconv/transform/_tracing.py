"""A call of any function as the equations that JAX traces it to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import ClosedJaxpr

from jaxconv._core.types import Function, Options, Values
from jaxconv.transform import _objects

_EMPTY = object()
"""The place of an array in a result that has yet to be computed."""


@dataclass(frozen=True)
class Traced:
    """A traced call.

    Attributes:
        jaxpr: what the call computes from its arrays.
        arrays: the arrays among its arguments.
        result: returns the result of the call, given the arrays that it computes.
        has_numbers: whether there is an array or a Python number among its arguments.
    """

    jaxpr: ClosedJaxpr
    arrays: list[Array]
    result: Callable[[Values], object]
    has_numbers: bool


def trace(
    function: Function,
    args: Values,
    kwargs: Options,
    static_argnums: Sequence[int] = (),
) -> Traced:
    """Trace one call. Arrays are traced; everything else in the arguments keeps its value.

    Args:
        function: the function.
        args: its positional arguments.
        kwargs: its keyword arguments.
        static_argnums: the positions of arguments in which arrays, too, keep their value.
    """
    whole = {i % len(args) for i in static_argnums if -len(args) <= i < len(args)}
    given = [None if i in whole else arg for i, arg in enumerate(args)]
    is_object = _objects.among((*given, *kwargs.values()))
    leaves, tree = jax.tree.flatten((given, kwargs), is_leaf=is_object)
    at_objects = [i for i, leaf in enumerate(leaves) if is_object(leaf)]
    at_arrays = [i for i, leaf in enumerate(leaves) if is_array(leaf)]
    objects = [leaves[i] for i in at_objects]
    made_of, state = _objects.split(objects) if objects else (None, None)
    parts: list[Any] = []

    def call(arrays: Sequence[Array], state: object) -> list[Array]:
        before = _objects.contents(state) if objects else {}
        copies = _objects.merge(made_of, state) if objects else []
        filled = list(leaves)
        for i, leaf in zip((*at_arrays, *at_objects), (*arrays, *copies), strict=True):
            filled[i] = leaf
        given, named = jax.tree.unflatten(tree, filled)
        value = function(*(args[i] if i in whole else a for i, a in enumerate(given)), **named)
        after = _objects.changed(before, _objects.split(copies)[1]) if objects else None
        results, made_tree = jax.tree.flatten((value, after))
        # No tracer may be kept, so arrays leave their places empty.
        parts[:] = made_tree, [_EMPTY if is_array(leaf) else leaf for leaf in results]
        return [leaf for leaf in results if is_array(leaf)]

    arrays = [leaves[i] for i in at_arrays]
    jaxpr = jax.make_jaxpr(call)(arrays, state)
    made_tree, results = parts

    def result(values: Values) -> object:
        rest = iter(values)
        filled = [next(rest) if leaf is _EMPTY else leaf for leaf in results]
        value, after = jax.tree.unflatten(made_tree, filled)
        if objects:
            _objects.update(objects, after)
        return value

    given_arrays = [*arrays, *jax.tree.leaves(state)]
    has_numbers = bool(given_arrays) or any(isinstance(leaf, Number) for leaf in leaves)
    return Traced(jaxpr, given_arrays, result, has_numbers)


def is_array(leaf: object) -> bool:
    """Return whether a leaf is traced: an array of numbers or keys, and no Python number."""
    if isinstance(leaf, np.ndarray):
        return leaf.dtype == bool or jnp.issubdtype(leaf.dtype, np.number)
    return isinstance(leaf, jax.Array)
