"""Shifted views of an input: what all windows see at one of their elements. Channels last."""

import itertools
from collections.abc import Iterator

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.barriers import pad_zeros_unfused
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints


def covered(spec: ConvSpec, x: Array) -> Array:
    """Return x, padded or cut to reach from the first window's start to the last one's end."""
    edges = ((0, 0, 0), *((low, high, 0) for low, high in spec.covering), (0, 0, 0))
    return lax.pad(x, jnp.zeros((), x.dtype), edges)


def covered_copy(spec: ConvSpec, x: Array) -> Array:
    """Return the result of `covered`, as a separate array where that is faster."""
    return pad_zeros_unfused(x, ((0, 0), *spec.covering, (0, 0)))


def shifts(spec: ConvSpec) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Yield every element a of the window, with the start and stop of its positions s·i + d·a."""
    for a in itertools.product(*map(range, spec.window)):
        start = tuple(d * k for d, k in zip(spec.dilation, a, strict=True))
        stop = tuple(
            first + s * (o - 1) + 1
            for first, s, o in zip(start, spec.stride, spec.output, strict=True)
        )
        yield a, start, stop
