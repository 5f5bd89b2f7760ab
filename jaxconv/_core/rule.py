"""The line that joins a forward and a backward pass into an op."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
from jax import Array

Function = Callable[..., Any]


@dataclass(frozen=True)
class Primal:
    """An argument as a forward pass with `knows_wanted` gets it: the fields of JAX's own.

    Attributes:
        value: the array.
        perturbed: whether the gradient for this argument is wanted.
    """

    value: Array
    perturbed: bool


class Rule:
    """An op with a backward pass that is written by hand, compiled where it is called.

    Calling the rule computes y, and `jax.grad` of what is made of y runs the backward pass.

    Attributes:
        forward: forward(*static, *arrays) -> (y, residuals). The residuals are what is kept for
            the backward pass.
        backward: backward(*static, residuals, dy) -> a gradient for each of the arrays, in a tuple.
        static: how many of the leading arguments are static: hashable values of Python.

    Both functions must consist of operations that JAX can differentiate, and a rule is not one of
    them in forward mode: they call each other's helpers, never a rule.

    Example:
        >>> square = Rule(lambda x: (x * x, x), lambda x, dy: (2 * x * dy,))
        >>> jax.grad(square)(3.0).item()
        6.0
    """

    def __init__(
        self,
        forward: Function,
        backward: Function,
        *,
        static: int = 0,
        value: Function | None = None,
        knows_wanted: bool = False,
    ):
        """Join the two.

        Args:
            forward: see above.
            backward: see above.
            static: see above.
            value: value(*static, *arrays) -> y for calls of which no gradient is taken, if that is
                cheaper than the forward pass.
            knows_wanted: whether the forward pass gets each array as `Primal`, and cotangents that
                are zeros as symbols.
        """
        self.forward, self.backward, self.static = forward, backward, static

        def op(*args: Any) -> Any:
            if value is not None:
                return value(*args)
            if knows_wanted:
                arrays = (jax.tree.map(lambda a: Primal(a, False), a) for a in args[static:])
                args = (*args[:static], *arrays)
            return forward(*args)[0]

        op.__name__ = op.__qualname__ = forward.__name__.strip("_").removesuffix("_forward")
        numbers = tuple(range(static))
        with_rule = jax.custom_vjp(op, nondiff_argnums=numbers)
        with_rule.defvjp(forward, backward, symbolic_zeros=knows_wanted)
        self._compiled = jax.jit(with_rule, static_argnums=numbers, inline=True)
        RULES.append(self)

    def __call__(self, *args: Any) -> Any:
        """The value, y."""
        return self._compiled(*args)


RULES: list[Rule] = []
"""Every rule that was made, in that order."""
