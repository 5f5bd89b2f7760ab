"""Sizes that are not known while tracing: `jax.export` puts symbols in their place.

Such a symbol counts and compares like an int where the answer is the same for all sizes that it
stands for. Where it is not, the comparison raises JAX's InconclusiveDimensionOperation.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax.extend.core import InconclusiveDimensionOperation


def at_least(size: Any, least: int) -> bool:
    """Whether a size is at least this; one that is not known yet counts as large.

    `jax.export` traces with sizes that are symbols, and a comparison of these may have no answer.
    What is done for large arrays is right for small ones, too, and only costs more there.
    """
    try:
        return bool(size >= least)
    except InconclusiveDimensionOperation:
        return True


def as_number(size: Any, dtype: Any) -> Any:
    """A size to count with: an int, or a 0-d array in this dtype of what is not known yet."""
    return size if isinstance(size, int) else jnp.asarray(size).astype(dtype)


def check_ceil_mode(
    op: str,
    size: Sequence[Any],
    padding: Sequence[tuple[Any, Any]],
    extent: Sequence[int],
    stride: Sequence[int],
) -> None:
    """Raise if it depends on a size that is not known whether ceil_mode gains a window."""
    for axis, (n, pair, span, s) in enumerate(zip(size, padding, extent, stride, strict=True)):
        if not isinstance(n, int) and (n + sum(pair) - span) % s != 0:
            raise ValueError(
                f"{op}: ceil_mode needs to know spatial dimension {axis} while tracing, or that"
                f" stride {s} leaves no rest, but the size is {n}"
            )


def check_enough(op: str, mode: str, n: Any, least: int) -> None:
    """Raise unless an axis is known to have so many positions to copy."""
    if n < least:
        raise ValueError(f"{op}: mode {mode!r} must have {least} positions to copy, but x has {n}")
