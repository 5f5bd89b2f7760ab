"""Floors: the least time that a program can take on a machine.

Work is counted in multiply-adds and bytes. A machine has two ceilings: the multiply-adds per second
of a large matrix product, and the bytes per second that go through memory. The floor of one piece
of work is the longer of the two times that it takes at these ceilings.
"""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv._core.work import Work


class Ceilings(NamedTuple):
    """The most that the machine does per second, and the seconds of a call that does nothing."""

    multiply_adds: float
    bytes: float
    call_s: float = 0.0

    def floor_ms(self, works: Iterable[Work]) -> float:
        """Return the least time in ms of pieces of work that run one after another."""
        return 1e3 * sum(
            max(work.multiply_adds / self.multiply_adds, work.bytes / self.bytes) for work in works
        )


def size_for(platform: str) -> int:
    """Return the size of matrices whose product takes far longer than the call itself."""
    return 2048 if platform == "cpu" else 16384


def measured_ceilings(options: dict[str, str], size: int, calls: int = 9) -> Ceilings:
    """Measure the ceilings by a float32 matrix product and by negating an array in place.

    Both are the best of some calls, since a ceiling is not a typical time. The product is timed
    with and without `options`. The negation is in place, because the system first clears the memory
    of a new array, which can take longer than all the rest.
    """
    matrix = jnp.ones((size, size), jnp.float32)
    products = (
        jax.jit(jnp.matmul, compiler_options=o).lower(matrix, matrix).compile()
        for o in ({}, options)
    )
    product_s = min(_best(product, (matrix, matrix), calls) for product in products)
    array = jnp.ones((2, size, size), jnp.float32)
    moved = 2 * array.nbytes
    negated = jax.jit(jnp.negative, donate_argnums=0).lower(array).compile()
    moved_s = _best(negated, (array,), calls, in_place=True)
    return Ceilings(size**3 / product_s, moved / moved_s, _call_s())


def _call_s(calls: int = 200) -> float:
    """Return the seconds per call of a function that does next to nothing."""
    number = jnp.zeros((), jnp.float32)
    negated = jax.jit(jnp.negative).lower(number).compile()
    start = time.perf_counter()
    for _ in range(calls):
        y = negated(number)
    jax.block_until_ready(y)
    return (time.perf_counter() - start) / calls


def _best(
    run: Callable[..., Array], args: tuple[Array, ...], calls: int, *, in_place: bool = False
) -> float:
    seconds = []
    for _ in range(calls + 1):  # the first call is a warm-up and never the best
        start = time.perf_counter()
        y = jax.block_until_ready(run(*args))
        seconds.append(time.perf_counter() - start)
        args = (y,) if in_place else args
    return min(seconds)
