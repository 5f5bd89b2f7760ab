"""Conversion of factors and results between the layout of a call and channels last."""

from typing import Literal

from jax import Array

from jaxconv._core.arguments import Layout

Role = Literal["image", "kernel"]


def as_channels_last(array: Array, role: Role, layout: Layout) -> Array:
    """Return an image or a kernel of this layout with its channels last."""
    if layout == "channels_last":
        return array
    spatial = range(2, array.ndim)
    return array.transpose((0, *spatial, 1) if role == "image" else (*spatial, 1, 0))


def from_channels_last(array: Array, role: Role, layout: Layout) -> Array:
    """Return an image or a kernel with its channels last in this layout."""
    if layout == "channels_last":
        return array
    last = array.ndim - 1
    spatial = range(1, last) if role == "image" else range(last - 1)
    return array.transpose((0, last, *spatial) if role == "image" else (last, last - 1, *spatial))
