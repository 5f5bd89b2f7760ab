"""What to tell the compiler, so that these ops run fastest."""

import functools
from collections.abc import Callable

import jax

# XLA's CPU backend can hand products and convolutions to a library of its own (YNNPACK). Unless
# asked, it does so for some convolutions, of which `contraction/apart.py` knows more. Asked for
# these alone, it compiles reductions in another way that is 3 to 15 times slower (the statistics of
# a batch norm, the bias of a convolution); asked for products and reductions, it leaves reductions
# as fast as they are and convolutions to its own code.
_CPU = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE"
}


def compiler_options(platform: str | None = None) -> dict[str, str]:
    """Options for `jax.jit(..., compiler_options=...)`, or {} where none is known to help.

    An option is given only if the installed XLA takes it, which is tried once by compiling
    nothing much with it. So a JAX that has never heard of it gets {}, and works.

    Args:
        platform: "cpu", "gpu", "tpu" or another name that JAX knows; None is the default backend.

    Returns:
        A dict of your own, to be changed as you like.

    Raises:
        TypeError: platform is no string.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> options = compiler_options()
        >>> float(jax.jit(jnp.sum, compiler_options=options)(jnp.ones(3)))
        3.0
    """
    if platform is not None and not isinstance(platform, str):
        raise TypeError(f"compiler_options: platform must be a name or None, but {platform!r} came")
    name = (platform or jax.default_backend()).lower()
    return dict(_CPU) if name == "cpu" and is_taken(tuple(_CPU.items())) else {}


@functools.cache
def is_taken(options: tuple[tuple[str, str | int], ...]) -> bool:
    """Whether a CPU is there whose compiler knows these options."""
    identity: Callable[[float], float] = lambda x: x  # noqa: E731
    try:
        with jax.default_device(jax.devices("cpu")[0]):
            jax.jit(identity, compiler_options=dict(options)).lower(0.0).compile()
    except RuntimeError:
        return False
    return True
