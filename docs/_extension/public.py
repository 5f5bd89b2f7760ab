"""What documents the public names of a module."""

import importlib
import inspect
from collections.abc import Iterable
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
