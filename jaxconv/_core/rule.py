"""`Rule`, which joins a forward and a backward pass into an op."""

from dataclasses import dataclass
from typing import Any

import jax
from jax import Array

from jaxconv._core.types import Function


@dataclass(frozen=True)
class Primal:
    """An argument of a forward pass with `knows_wanted`, with the same fields as JAX's own class.

    Attributes:
        value: the array.
        perturbed: whether the gradient for this argument is wanted.
    """

    value: Array
    perturbed: bool


class Rule:
    """An op with a backward pass that is written by hand, compiled by `jax.jit`.

    Calling the rule computes y. `jax.grad` of a function that calls it runs the backward pass.

    Attributes:
        forward: forward(*static, *arrays) -> (y, residuals), where the residuals are kept for the
            backward pass.
        backward: backward(*static, residuals, dy) -> a tuple with one gradient per array.
        static: how many of the leading arguments are static, that is, hashable Python values.
        name: name of the op in messages and profiles.

    Both functions may use only operations that JAX can differentiate in forward mode. A rule is not
    one of them, so forward and backward may share helpers but never call a rule.

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
        name: str | None = None,
    ):
        """Join a forward and a backward pass.

        Args:
            forward: the attribute.
            backward: the attribute.
            static: the attribute.
            value: value(*static, *arrays) -> y for calls without a gradient, if it is cheaper than
                the forward pass.
            knows_wanted: whether the forward pass gets each array as a `Primal`, and the backward
                pass gets zero cotangents as symbols.
            name: the attribute; by default the name of the forward function without `_forward`.
        """
        self.forward, self.backward, self.static = forward, backward, static

        def op(*args: Any) -> Any:
            if value is not None:
                return value(*args)
            if knows_wanted:
                arrays = (jax.tree.map(lambda a: Primal(a, False), a) for a in args[static:])
                args = (*args[:static], *arrays)
            return forward(*args)[0]

        self.name = name or forward.__name__.strip("_").removesuffix("_forward")
        op.__name__ = op.__qualname__ = self.name
        numbers = tuple(range(static))
        with_rule = jax.custom_vjp(op, nondiff_argnums=numbers)
        with_rule.defvjp(forward, backward, symbolic_zeros=knows_wanted)
        self._compiled = jax.jit(with_rule, static_argnums=numbers, inline=True)
        RULES.append(self)

    def __call__(self, *args: Any) -> Any:
        """Compute y.

        Raises:
            TypeError: forward mode (`jax.jvp`, `jax.jacfwd`) was used, but a rule has a backward
                pass only.
        """
        try:
            return self._compiled(*args)
        except TypeError as error:
            if "custom_vjp" not in str(error):
                raise
            raise TypeError(
                f"jaxconv: {self.name} has a backward pass written by hand (a custom_vjp), and so"
                " jax.jvp and jax.jacfwd cannot differentiate it; jaxconv.reference has the same op"
                " for forward mode"
            ) from error


RULES: list[Rule] = []
"""All rules in the order in which they were created."""
