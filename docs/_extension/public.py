"""What documents the public names of a module."""

import importlib
import inspect
from collections.abc import Iterable
from types import GenericAlias
from typing import Any


def names_of(module: str) -> list[str]:
    """Return the public names of a module."""
    return list(importlib.import_module(module).__all__)


def directives(module: str, names: Iterable[str]) -> str:
    """Return reStructuredText that documents these names of a module."""
    lines = [f".. py:currentmodule:: {module}", ""]
    for name in names:
        it: Any = getattr(importlib.import_module(module), name)
        if inspect.isclass(it):
            lines += [f".. autoclass:: {module}::{name}", "   :members:", ""]
        elif callable(it) and hasattr(it, "__name__"):
            lines += [f".. autofunction:: {module}::{name}", ""]
        else:
            lines += [f".. autodata:: {module}::{name}", "   :no-value:", ""]
    return "\n".join(lines)


def described(value: object) -> str:
    """Return what is said of a public name that is neither a class nor a function."""
    if isinstance(value, dict):
        return f"A dict with the keys {', '.join(map(repr, value))}."
    if isinstance(value, GenericAlias):
        return f"A name for ``{value}``."
    return f"A `{type(value).__name__}`."
