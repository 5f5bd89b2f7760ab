"""`by_hand`: any JAX function, with this library's rules for its convolutions and pools."""

import functools
import warnings
from collections.abc import Sequence

from jaxconv._core.types import Function
from jaxconv.transform._interpreter import run
from jaxconv.transform._occurrences import check_arrays, occurrences
from jaxconv.transform._tracing import Traced, trace


def by_hand(function: Function, *, static_argnums: int | Sequence[int] = ()) -> Function:
    """Give a function whose convolutions and pools have backward passes derived by hand.

    The result computes the same, and `jax.grad` of it runs the backward passes of this library
    instead of those that JAX derives, in a network of any library:

        gradient = jax.jit(jax.grad(by_hand(loss)))

    The function is traced at every call, as by `jax.checkpoint`, so call it under `jax.jit`.
    Convolutions (`jax.lax.conv_general_dilated`) and pools (`jax.lax.reduce_window` of a maximum, a
    minimum or a sum) are replaced wherever they stand: in functions that are jitted, mapped,
    checkpointed or sharded, and in loops and branches. Everything else stays as it is. That
    includes rules that others wrote (`custom_jvp`, `custom_vjp`), and convolutions for which this
    library has no rule, such as those of integers. `jaxconv.survey` lists what is replaced.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def loss(w, x):
        ...     y = jax.lax.conv(x, w, (1, 1), "SAME")
        ...     return jnp.sum(y**2)
        >>> w, x = jnp.ones((1, 1, 3, 3)), jnp.ones((1, 1, 4, 4))
        >>> jax.grad(by_hand(loss))(w, x)[0, 0, 1].tolist()
        [160.0, 200.0, 160.0]

    Args:
        function: any function that JAX can trace. Its arguments may be any pytrees and objects of
            `flax.nnx`, whose state is updated. Arrays among them are traced, and all else (Python
            numbers, strings, functions, None) keeps its value.
        static_argnums: the positions of arguments in which arrays, too, keep their value.

    Returns:
        A function with the arguments and results of `function`.

    Raises:
        TypeError: `function` is not callable, or static_argnums is not one or several ints. When
            the result is called: it has a derivative in reverse mode alone, but forward mode was
            used (`jax.jvp`, `jax.jacfwd`); or there is no array in the call.

    A gradient that JAX has taken already cannot be replaced. If `function` computes one with
    `jax.grad`, a warning says where.
    """
    if not callable(function):
        raise TypeError(f"by_hand: function must be callable, but got {function!r:.60}")
    static = _positions(static_argnums)

    @functools.wraps(function, updated=())
    def with_rules(*args: object, **kwargs: object) -> object:
        traced = trace(function, args, kwargs, static)
        _check(traced)
        try:
            values = run(traced.jaxpr.jaxpr, traced.jaxpr.consts, *traced.arrays)
        except TypeError as error:
            if "custom_vjp" not in str(error):
                raise
            raise TypeError(
                "by_hand: forward mode (jax.jvp, jax.jacfwd) cannot differentiate backward passes"
                " that are written by hand; use jax.grad, jax.vjp or jax.jacrev, or"
                " leave out by_hand there"
            ) from error
        return traced.result(values)

    return with_rules


def _positions(static_argnums: int | Sequence[int]) -> tuple[int, ...]:
    given = (static_argnums,) if isinstance(static_argnums, int) else static_argnums
    if not isinstance(given, (tuple, list)) or not all(isinstance(i, int) for i in given):
        raise TypeError(
            f"by_hand: static_argnums must be one or several ints, but got {static_argnums!r:.60}"
        )
    return tuple(given)


def _check(traced: Traced) -> None:
    """Raise if there is no array in a call, and warn if it contains gradients taken by JAX."""
    found = list(occurrences(traced.jaxpr.jaxpr))
    check_arrays("by_hand", traced, found)
    derived = [one for one in found if one.is_derived]
    if derived:
        warnings.warn(
            f"by_hand: {len(derived)} of {len(found)} convolutions and pools belong to a gradient"
            f" that JAX has taken already, first in {derived[0].where}; for the rules there, write"
            " jax.grad(by_hand(loss)) and not by_hand(jax.grad(loss))",
            stacklevel=3,
        )
