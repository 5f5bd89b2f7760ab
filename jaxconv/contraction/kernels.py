"""Kernels read backwards or with their channels exchanged, in either layout."""

import jax.numpy as jnp
from jax import Array, lax

from jaxconv._core.arguments import Layout


def rot180(w: Array, layout: Layout = "channels_last") -> Array:
    """Return the kernel read backwards along every spatial dimension."""
    return lax.rev(w, _window_axes(w.ndim - 2, layout))


def transposed(w: Array, groups: int, layout: Layout = "channels_last") -> Array:
    """Return the kernel of `ConvSpec.transposed`: read backwards, with its channels exchanged."""
    return rot180(swap_channels(w, groups, layout), layout)


def swap_channels(w: Array, groups: int, layout: Layout = "channels_last") -> Array:
    """Return the kernel with input and output channels exchanged within each group."""
    if layout == "channels_last":
        *window, c_in, c_out = w.shape
        swapped = jnp.swapaxes(w.reshape(*window, c_in, groups, c_out // groups), -3, -1)
        return swapped.reshape(*window, c_out // groups, groups * c_in)
    c_out, c_in, *window = w.shape
    swapped = jnp.swapaxes(w.reshape(groups, c_out // groups, c_in, *window), 1, 2)
    return swapped.reshape(groups * c_in, c_out // groups, *window)


def _window_axes(dims: int, layout: Layout) -> tuple[int, ...]:
    """Return the axes of the window."""
    return tuple(range(dims) if layout == "channels_last" else range(2, dims + 2))
