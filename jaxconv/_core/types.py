"""Names for types that Python or JAX leaves open."""

from collections.abc import Callable, Sequence
from typing import Any

Function = Callable[..., Any]
"""A function of arrays, or of trees of arrays."""

Values = Sequence[Any]
"""Arrays of numpy or JAX, tracers, numbers, or trees of them."""

Options = dict[str, Any]
"""Keyword arguments by name."""

Json = dict[str, Any]
"""What an object of a JSON file holds."""
