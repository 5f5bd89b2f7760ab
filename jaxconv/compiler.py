"""What to tell the compiler, so that these ops run fastest."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax

from jaxconv._core.arguments import as_int
from jaxconv._core.jaxprs import equations

# XLA's CPU backend can hand products and convolutions to a library of its own (YNNPACK). Unless
# asked, it does so for some convolutions, of which `contraction/apart.py` knows more. Asked for
# these alone, it compiles reductions in another way that is 3 to 15 times slower (the statistics of
# a batch norm, the bias of a convolution); asked for products and reductions, it leaves reductions
# as fast as they are and convolutions to its own code.
_CPU = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE"
}
# The arrays of a call come in pieces of so many bytes at most (`compiler_options`). glibc hands out
# memory that was given back, and has its pages, in pieces below 32 MB only; of MOST bytes and a
# header is the largest. Pieces of 8, 16 and 31 MB are as fast as each other, but one has to hold
# the largest array: XLA warns of each that is larger, hundreds of lines for one function.
_PIECES = "xla_multiheap_size_constraint_per_heap"
PIECE = 2**24
MOST = 31 * 2**20


def compiler_options(
    platform: str | None = None, *, largest_array: int | None = None
) -> dict[str, str]:
    """Options for `jax.jit(..., compiler_options=...)`, or {} where none is known to help.

    An option is given only if the installed XLA takes it, which is tried once by compiling
    nothing much with it. So a JAX that has never heard of it gets {}, and works.

    XLA asks for the memory of all arrays inside a function in one piece, at every call. On a CPU
    the C library gives a piece of more than 32 MB back to the system after the call, and the next
    call waits until its pages are cleared: a quarter to a half of a training step. If you say how
    large the largest array is, and it is smaller than that, the memory comes in pieces that are
    kept.

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
        largest_array: the bytes of the largest array that is computed in the function, for which
            you can ask `jaxconv.compiler.largest_array`; None if you do not know.

    Returns:
        A dict of your own, to be changed as you like.

    Raises:
        TypeError: platform is no string, or largest_array no int.
        ValueError: largest_array is negative, or 2**63 and more.
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


def largest_array(function: Callable[..., Any], *args: Any) -> int:
    """The bytes of the largest array that function(*args) computes, which is traced for it.

    What the compiler makes of the function can need a larger one, but hardly does. An argument
    counts only where it is computed again: it lies in memory of its own.

    Example:
        >>> import jax.numpy as jnp
        >>> largest_array(lambda x: jnp.sum(x[:, None] * x), jnp.ones(100, jnp.float32))
        40000

    Args:
        function: any that `jax.jit` takes, or that it gave; of one that it gave the trace is kept.
        args: its arguments, or `jax.ShapeDtypeStruct` for arrays of them.
    """
    computed = (
        variable.aval
        for eqn in equations(jax.make_jaxpr(function)(*args))
        for variable in eqn.outvars
        if hasattr(variable.aval, "shape")  # not a token
    )
    return max((math.prod(a.shape) * a.dtype.itemsize for a in computed), default=0)


@functools.cache
def is_taken(name: str, value: str | int) -> bool:
    """Whether a CPU is there whose compiler knows this option."""
    identity: Callable[[float], float] = lambda x: x  # noqa: E731
    try:
        with jax.default_device(jax.devices("cpu")[0]):
            jax.jit(identity, compiler_options={name: value}).lower(0.0).compile()
    except RuntimeError:
        return False
    return True
