"""The equations of a traced function."""

from collections.abc import Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr


def equations(jaxpr: Jaxpr | ClosedJaxpr) -> Iterator[Any]:
    """Yield the equations of a jaxpr, each followed by those of the functions inside it."""
    for eqn in jaxpr.eqns:
        yield eqn
        inner = jax.tree.leaves(list(eqn.params.values()), is_leaf=_is_jaxpr)
        for one in filter(_is_jaxpr, inner):
            yield from equations(one)


def _is_jaxpr(value: object) -> bool:
    return hasattr(value, "eqns")
