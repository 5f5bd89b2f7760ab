"""The levels at which a gradient is right: value, first derivative, transformations, second."""

ORDERS = ("reverse_over_reverse", "forward_over_reverse")
"""The second derivatives, which the transformation "second_order" takes."""

FIRST = ("value", "gradient", "unused", "jit", "vmap", "scan", "checkpoint", "shard_map")
"""The levels of the first derivative; a rule that lacks one of them fails by default."""

LEVELS = (*FIRST, *ORDERS)

HOLDS, FAILS, IS_MISSING = "holds", "does not hold", "is missing"
UNTOLD = "cannot be told"
"""Of a gradient without a reference, where differences are too inexact."""


def required(names: tuple[str, ...] | None) -> frozenset[str]:
    """Return the levels that must hold; "second_order" is both of `ORDERS`."""
    if names is None:
        return frozenset(FIRST)
    orders = ORDERS if "second_order" in names else ()
    return frozenset(("value", "gradient", *names, *orders))
