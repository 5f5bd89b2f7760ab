"""Sizes that are not known while tracing, for which `jax.export` uses symbols.

A symbol can be used and compared like an int if the answer is the same for all sizes that it
stands for. Otherwise the comparison raises JAX's InconclusiveDimensionOperation.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array
from jax.extend.core import InconclusiveDimensionOperation

from jaxconv._core.arguments import DType


def at_least(size: int, least: int) -> bool:
    """Return whether a size is at least `least`; if this is unknown while tracing, return True.

    The comparison may have no answer for the symbols of `jax.export`. Code for large arrays is
    correct for small ones, too, and only slower.
    """
    try:
        return bool(size >= least)
    except InconclusiveDimensionOperation:
        return True


def as_number(size: int, dtype: DType | type[int]) -> int | Array:
    """Return a size as an int or, if it is not known while tracing, as a 0-d array of `dtype`."""
    return size if isinstance(size, int) else jnp.asarray(size).astype(dtype)


def check_ceil_mode(
    op: str,
    size: Sequence[int],
    padding: Sequence[tuple[int, int]],
    extent: Sequence[int],
    stride: Sequence[int],
) -> None:
    """Raise if it depends on an unknown size whether ceil_mode adds a window."""
    for axis, (n, pair, span, s) in enumerate(zip(size, padding, extent, stride, strict=True)):
        if not isinstance(n, int) and (n + sum(pair) - span) % s != 0:
            raise ValueError(
                f"{op}: ceil_mode needs to know spatial dimension {axis} while tracing, or that"
                f" stride {s} leaves no rest, but the size is {n}"
            )


def check_enough(op: str, mode: str, n: int, least: int) -> None:
    """Raise unless an axis is known to have at least `least` positions to copy."""
    if n < least:
        raise ValueError(f"{op}: mode {mode!r} needs {least} positions to copy, but x has only {n}")
