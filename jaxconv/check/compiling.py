"""Compile for few runs: a check runs most of its functions a few times, on small arrays."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import jax

from jaxconv.check.arrays import Arrays
from jaxconv.compiler import is_taken

MOST = 3_000
"""Functions of more numbers than that are optimized: unoptimized, they would run for longer."""

_OPTIONS = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}


def quick_jit(function: Callable[..., Any], arrays: Arrays) -> Callable[..., Any]:
    """Return `jax.jit` of a function, without most optimizations if it takes few numbers.

    Two pulls of a check are compiled as the user's program compiles them, and not by this: that of
    the rule, and that of the reference in the dtype of the arguments.
    """
    is_small = sum(a.size for a in arrays) <= MOST
    return jax.jit(function, compiler_options=_quick_options() if is_small else {})


@cache
def _quick_options() -> dict[str, Any]:
    """Return the options that the compiler of this machine has."""
    if jax.default_backend() != "cpu":
        return {}
    return {name: value for name, value in _OPTIONS.items() if is_taken(name, value)}


@contextmanager
def quickly_compiled() -> Iterator[None]:
    """Compile without optimizations, which is faster for small functions that run a few times."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
