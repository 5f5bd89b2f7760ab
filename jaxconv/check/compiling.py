"""Compile for few runs: a check runs most of its functions a few times, on small arrays."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import jax

from jaxconv._core.types import Options
from jaxconv.check.arrays import Arrays
from jaxconv.compiler import is_taken

MOST = 3_000
"""Functions of more numbers than that get some optimizations: without, they run for too long."""

_SMALL = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
_LARGE = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}


def quick_jit(function: Callable[..., Any], arrays: Arrays) -> Callable[..., Any]:
    """Return `jax.jit` of a function, with few optimizations, and fewer if it takes few numbers.

    In the dtype of the user's arguments, the pull of the rule is compiled as the user's program
    compiles it, and not by this.
    """
    return jax.jit(function, compiler_options=_known_options(_is_small(arrays)))


def _is_small(arrays: Arrays) -> bool:
    return sum(a.size for a in arrays) <= MOST


@cache
def _known_options(is_small: bool) -> Options:
    """Return the options that the compiler of this machine has."""
    if jax.default_backend() != "cpu":
        return {}
    options = _SMALL if is_small else _LARGE
    return {name: value for name, value in options.items() if is_taken(name, value)}


def quickly_called(arrays: Arrays) -> AbstractContextManager[object]:
    """Return a context in which calls that are not compiled as a whole cost less.

    Each of their operations is compiled by itself: without optimizations, if the arrays are small.
    """
    return quickly_compiled() if _is_small(arrays) else nullcontext()


@contextmanager
def quickly_compiled() -> Iterator[None]:
    """Compile without optimizations, which is faster for small functions that run a few times."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
