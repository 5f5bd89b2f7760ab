"""What is put on trial: a rule, arguments to call it with, and what it must agree with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

TRANSFORMS = ("jit", "vmap", "scan", "checkpoint", "second_order")
ON_REQUEST = ("shard_map",)


@dataclass(frozen=True, eq=False)
class Case:
    """A call of a rule, with a name.

    Attributes:
        name: what the report calls it.
        rule: any callable that JAX can differentiate in reverse mode.
        args: its positional arguments, any pytrees. Floating-point arrays are differentiated;
            integers, booleans, keys, Python's numbers and None are not.
        reference: a callable of the same arguments and meaning, differentiated by JAX; None
            leaves finite differences of the rule itself as the only judge of its gradient.
        options: keywords of `check_rule`.
    """

    name: str
    rule: Callable[..., Any]
    args: Sequence[Any]
    reference: Callable[..., Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)
