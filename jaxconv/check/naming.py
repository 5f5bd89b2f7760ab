"""What the user calls things: the names of arguments, and the lines where a rule is defined."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax


def argument_names(functions: Sequence[Any], count: int) -> tuple[str, ...]:
    """Return the names of the first `count` positional arguments.

    They are the parameters of the first of these functions that names all of them. Without such a
    function they are "args[0]", "args[1]", ….
    """
    for function in functions:
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):  # not callable, or a built-in function
            continue
        names = [p.name for p in parameters if p.kind in _POSITIONAL]
        if len(names) >= count:
            return tuple(names[:count])
    return tuple(f"args[{i}]" for i in range(count))


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def signature_of(names: Sequence[str]) -> inspect.Signature:
    """Return the signature of a function with these positional arguments, for reports."""
    kind = inspect.Parameter.POSITIONAL_ONLY
    return inspect.Signature([inspect.Parameter(name, kind) for name in names])


def defined_in(rule: object) -> str:
    """Return where a rule is defined, and its backward pass if it is a `custom_vjp`.

    Example: "rules.py:12, and its backward pass in rules.py:20". "" if Python does not know it.
    """
    if not isinstance(rule, jax.custom_vjp):
        return line_of(rule)
    here, backward = line_of(rule.fun), line_of(getattr(rule, "bwd", None))
    if here and backward:
        return f"{here}, and its backward pass in {backward}"
    return here or backward


def line_of(function: object) -> str:
    """Return the file and the line where a function is defined; "" if Python does not know them."""
    function = inspect.unwrap(function) if callable(function) else function
    function = getattr(function, "func", function)  # of a functools.partial
    code = getattr(function, "__code__", None)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code is not None else ""
