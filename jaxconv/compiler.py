"""Compiler options that make the ops of jaxconv fast."""

import functools
import math
from collections.abc import Callable

import jax

from jaxconv._core.arguments import as_int
from jaxconv._core.jaxprs import equations
from jaxconv._core.types import Function

# XLA's CPU backend can hand products, reductions and convolutions to a library (YNNPACK). By
# default it hands over some convolutions only (`contraction/apart.py`). With this value the library
# computes products and reductions, and XLA's own code computes convolutions. Without REDUCE, XLA
# compiles reductions in a slower way (docs/lab/compiler.md), which hurts the statistics of a batch
# norm and the bias gradient of a convolution.
_CPU = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE"
}
# This option limits the bytes of each piece of memory that a call asks for (`compiler_options`).
# glibc keeps freed memory, pages included, only if a piece is smaller than 32 MB; MOST leaves room
# for its header. Pieces of 8, 16 and 31 MB are equally fast, but a piece must hold the largest
# array: otherwise XLA warns of every larger one, with hundreds of lines for one function.
_PIECES = "xla_multiheap_size_constraint_per_heap"
PIECE = 2**24
MOST = 31 * 2**20


def compiler_options(
    platform: str | None = None, *, largest_array: int | None = None
) -> dict[str, str]:
    """Return options for `jax.jit(..., compiler_options=...)` that help on a CPU; elsewhere `{}`.

    An option is returned only if the installed XLA accepts it, which is tested once by compiling a
    trivial function. So a JAX that does not know the options gets `{}`, and works.

    At every call, XLA asks for the memory of all arrays inside a function in one piece. On a CPU
    the C library returns a piece of more than 32 MB to the system after the call, and the next
    call waits until the system has cleared its pages, which took more than a third of one step. If
    you say how large the largest array is, and it is at most 31 MB, XLA asks for several smaller
    pieces, which the process keeps.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxconv.compiler import largest_array
        >>> def step(w, x):
        ...     return w - 0.1 * jax.grad(lambda w: jnp.mean((x @ w) ** 2))(w)
        >>> w, x = jnp.ones((3, 2)), jnp.ones((100, 3))
        >>> options = compiler_options(largest_array=largest_array(step, w, x))
        >>> jax.jit(step, compiler_options=options)(w, x).shape
        (3, 2)

    Args:
        platform: "cpu", "gpu", "tpu" or another name that JAX knows; None is the default backend.
        largest_array: the bytes of the largest array that is computed in the function, as
            `jaxconv.compiler.largest_array` returns it; None if you do not know.

    Returns:
        A new dict, which you may change.

    Raises:
        TypeError: platform is not a string, or largest_array is not an int.
        ValueError: largest_array is negative or at least 2**63.
    """
    if platform is not None and not isinstance(platform, str):
        raise TypeError(f"compiler_options: platform must be a name or None, but got {platform!r}")
    largest = None
    if largest_array is not None:
        largest = as_int("compiler_options", "largest_array", largest_array, 0, 2**63 - 1)
    if (platform or jax.default_backend()).lower() != "cpu":
        return {}
    options = dict(_CPU)
    if largest is not None and largest <= MOST:
        options[_PIECES] = str(max(PIECE, largest))
    return {name: value for name, value in options.items() if is_taken(name, value)}


def largest_array(function: Function, *args: object) -> int:
    """Trace function(*args) and return the bytes of the largest array that it computes.

    The compiled function may need a larger array, but this hardly ever happens. Arguments do not
    count, because they have their own memory.

    Example:
        >>> import jax.numpy as jnp
        >>> largest_array(lambda x: jnp.sum(x[:, None] * x), jnp.ones(100, jnp.float32))
        40000

    Args:
        function: a function that `jax.jit` accepts, or a jitted one, whose trace JAX keeps.
        args: its arguments; a `jax.ShapeDtypeStruct` may stand for an array.
    """
    computed = (
        variable.aval
        for eqn in equations(jax.make_jaxpr(function)(*args))
        for variable in eqn.outvars
        if hasattr(variable.aval, "shape")  # a token has none
    )
    return max((math.prod(a.shape) * a.dtype.itemsize for a in computed), default=0)


@functools.cache
def is_taken(name: str, value: str | int) -> bool:
    """Return whether there is a CPU backend whose compiler accepts this option."""
    identity: Callable[[float], float] = lambda x: x  # noqa: E731
    try:
        with jax.default_device(jax.devices("cpu")[0]):
            jax.jit(identity, compiler_options={name: value}).lower(0.0).compile()
    except RuntimeError:
        return False
    return True
