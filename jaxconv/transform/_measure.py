"""The time of a function and its gradient, as it is and with the rules, in turns."""

import statistics
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv._core.arguments import FLOATS
from jaxconv._core.types import Values

Layer = Callable[..., Values]

ROUNDS = 5
"""The least number of timed calls of each; more are made until ENOUGH_S seconds are spent."""

ENOUGH_S = 0.3


def times_ms(functions: Sequence[Layer], arrays: Values) -> list[float]:
    """Return the median milliseconds of each function with its gradient, compiled, at `arrays`.

    The functions return the same list of arrays. The gradient is taken for all floating-point
    arrays, with random cotangents.
    """
    calls = [_with_gradient(function, arrays) for function in functions]
    seconds: list[list[float]] = [[] for _ in calls]
    begun = time.perf_counter()
    while len(seconds[0]) < ROUNDS or time.perf_counter() - begun < ENOUGH_S:
        for call, each in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            jax.block_until_ready(call())
            each.append(time.perf_counter() - start)
    return [1000 * statistics.median(each) for each in seconds]


def _with_gradient(function: Layer, arrays: Values) -> Callable[[], object]:
    """Return a compiled call of the function with its gradient, which has run once."""
    wanted = [i for i, array in enumerate(arrays) if array.dtype in FLOATS]

    def of_wanted(some: Values, others: Values) -> list[Array]:
        filled = list(others)
        for i, array in zip(wanted, some, strict=True):
            filled[i] = array
        return [y for y in function(*filled) if y.dtype in FLOATS]

    def both(some: Values, others: Values, dy: Values) -> object:
        y, pull = jax.vjp(lambda some: of_wanted(some, others), some)
        return y, pull(list(dy))

    some = [jnp.asarray(arrays[i]) for i in wanted]
    shapes = jax.eval_shape(of_wanted, some, list(arrays))
    args = some, list(arrays), draw(shapes)
    compiled = jax.jit(both)
    jax.block_until_ready(compiled(*args))
    return lambda: compiled(*args)


def draw(shapes: Sequence[jax.core.ShapedArray | jax.ShapeDtypeStruct]) -> list[Array]:
    """Return arrays of standard normal numbers."""
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.standard_normal(s.shape), s.dtype) for s in shapes]
