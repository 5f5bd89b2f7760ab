"""What the files of wrong gradient rules share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import numpy as np

# The mistake shows only when the rule is compiled, mapped or differentiated twice.
TRANSFORMS = {
    "transforms": ("jit", "vmap", "scan", "checkpoint", "second_order"),
    "require": ("jit", "vmap", "scan", "checkpoint", "unused", "second_order"),
}


@dataclass(frozen=True)
class Wrong:
    """A rule whose value is right and whose gradient is wrong as a public report describes."""

    name: str
    report: str
    rule: Callable
    args: tuple
    reference: Callable | None
    truth: str
    kinds: tuple[str, ...]
    options: dict = field(default_factory=dict)
    verified: bool = True


def normal(seed: int, *shape: int) -> np.ndarray:
    """Random normal numbers."""
    return np.random.default_rng(seed).normal(size=shape)


def normals(seed: int, *shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """One array of random normal numbers for each shape."""
    generator = np.random.default_rng(seed)
    return tuple(generator.normal(size=shape) for shape in shapes)


def with_backward(value: Callable, backward: Callable) -> Callable:
    """`value`, whose gradient is `backward(arguments, cotangent)`, a tuple."""
    rule = jax.custom_vjp(value)
    rule.defvjp(lambda *args: (value(*args), args), backward)
    return rule


def with_residuals(value: Callable, forward: Callable, backward: Callable) -> Callable:
    """`value`, whose gradient is `backward(residuals, cotangent)` after `forward`."""
    rule = jax.custom_vjp(value)
    rule.defvjp(forward, backward)
    return rule


def traced(*arrays) -> bool:
    """Whether one of the arrays is being compiled, perhaps inside another transformation."""
    for array in arrays:
        while isinstance(array, jax.core.Tracer):
            if type(array).__name__ == "DynamicJaxprTracer":
                return True
            array = getattr(array, "val", getattr(array, "primal", None))
    return False
