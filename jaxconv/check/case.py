"""`Case`: a rule to check, the arguments to call it with, and a reference implementation."""

from dataclasses import dataclass, field

from jaxconv._core.types import Function, Options, Values

TRANSFORMS = ("jit", "vmap", "scan", "checkpoint", "second_order")
ON_REQUEST = ("shard_map",)


@dataclass(frozen=True, eq=False)
class Case:
    """A named call of a rule.

    Attributes:
        name: the name that the report prints.
        rule: any callable that JAX can differentiate in reverse mode.
        args: its positional arguments, any pytrees. Floating-point arrays are differentiated;
            integers, booleans, keys, Python's numbers and None are not.
        reference: a callable that takes the same arguments, computes the same value and is
            differentiated by JAX. With None, the gradient is compared only with finite differences
            of the rule itself.
        options: keyword arguments of `check_rule`.
    """

    name: str
    rule: Function
    args: Values
    reference: Function | None = None
    options: Options = field(default_factory=dict)
