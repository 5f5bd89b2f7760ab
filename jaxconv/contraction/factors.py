"""The factors of each contraction: which they are, and their shapes.

T(x, w, dy) has three factors, "x", "w" and "y", where "y" stands for the output and its cotangent.
A contraction has two of them, and its result has the shape of the third.
"""

from jaxconv._core.arguments import Layout
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints
from jaxconv.contraction.form import Contraction
from jaxconv.contraction.layouts import Role

FACTORS: dict[Contraction, tuple[str, str, str]] = {
    "correlate": ("x", "w", "y"),
    "input_gradient": ("w", "y", "x"),
    "kernel_gradient": ("x", "y", "w"),
}
"""The left factor, the right factor and the result of each contraction."""

ROLES: dict[str, Role] = {"x": "image", "w": "kernel", "y": "image"}


def roles_of(asked: Contraction) -> tuple[Role, Role, Role]:
    """Return whether the left factor, the right factor and the result are images or kernels."""
    left, right, result = FACTORS[asked]
    return ROLES[left], ROLES[right], ROLES[result]


def shape_of(factor: str, spec: ConvSpec, batch: int, layout: Layout = "channels_last") -> Ints:
    """Return the shape of a factor, where `batch`, the number of examples, may be a symbol."""
    if factor == "w":
        outer, inner = spec.channels_out, spec.in_a_group
        by_layout = {
            "channels_last": (*spec.window, inner, outer),
            "channels_first": (outer, inner, *spec.window),
        }
    else:
        size = spec.size if factor == "x" else spec.output
        channels = spec.channels_in if factor == "x" else spec.channels_out
        by_layout = {
            "channels_last": (batch, *size, channels),
            "channels_first": (batch, channels, *size),
        }
    return by_layout[layout]
