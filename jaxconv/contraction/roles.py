"""Exchange of the roles of x and y, where that gives the same contraction in a simpler way.

A spec and its `transposed` describe one sum of products, T(x, w, dy) = T'(dy, w', x), where w' is
the kernel read backwards with its input and output channels exchanged. So

    correlate(spec, x, w)         = input_gradient(spec.transposed, w', x)
    input_gradient(spec, w, dy)   = correlate(spec.transposed, dy, w')
    kernel_gradient(spec, x, dy)  = kernel_gradient(spec.transposed, dy, x)'

and every transposed convolution gets the same forms, whether it is a `conv_transpose`, has an
`lhs_dilation`, or is the backward pass of a convolution with a stride.
"""

from dataclasses import dataclass, replace

from jax import Array

from jaxconv._core.arguments import Layout
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction.form import Contraction
from jaxconv.contraction.kernels import transposed

_EXCHANGED: dict[Contraction, Contraction] = {
    "correlate": "input_gradient",
    "input_gradient": "correlate",
    "kernel_gradient": "kernel_gradient",
}


@dataclass(frozen=True)
class Roles:
    """A contraction, possibly rewritten as one of the transposed spec.

    Attributes:
        asked: the contraction that the caller wants.
        contraction: the contraction that is computed instead, or the same one.
        spec: the spec of the computed contraction.
        exchanged: whether the computed contraction is one of the transposed spec.
    """

    asked: Contraction
    contraction: Contraction
    spec: ConvSpec
    exchanged: bool

    def factors(self, left: Array, right: Array) -> tuple[Array, Array]:
        """Return the factors of `contraction`, given those of `asked`; channels last."""
        if not self.exchanged:
            return left, right
        if self.asked == "correlate":
            return transposed(right, self.spec.groups), left
        if self.asked == "input_gradient":
            return right, transposed(left, self.spec.groups)
        return right, left

    def result(self, result: Array, layout: Layout = "channels_last") -> Array:
        """Return the result of `asked`, given that of `contraction`."""
        return transposed(result, self.spec.groups, layout) if self.turns_factors else result

    @property
    def turns_factors(self) -> bool:
        """Whether x and dy change places, so that a pair of precisions is to be reversed.

        The pair of an input gradient is for dy and w, in the order of a correlation, and stays.
        """
        return self.exchanged and self.asked == "kernel_gradient"


def _as_tile(spec: ConvSpec) -> ConvSpec | None:
    """Return the spec with its stride set to its window, if there is only one window."""
    if not spec.is_static or spec.groups > 1 or spec.taps == 1:
        return None
    solid = max(*spec.dilation, *spec.input_dilation) == 1 == max(spec.output)
    if not solid or spec.is_empty:
        return None
    # `covering` cuts off what lies behind the window, where the new stride might fit another one.
    return replace(spec, stride=spec.window, padding=spec.covering)


def simplest(asked: Contraction, spec: ConvSpec) -> Roles:
    """Choose roles without an input dilation if possible, and a correlation over an input gradient.

    A spec with both a stride and an input dilation keeps both. Where an image has only one window,
    the stride is set to the window, which makes all three contractions matrix products (tiles.py).
    """
    if (tile := _as_tile(spec)) is not None:
        return Roles(asked, asked, tile, exchanged=False)
    if spec.is_static and max(spec.size, default=0) == 1:
        tile = _as_tile(spec.transposed)
        if tile is not None:
            return Roles(asked, _EXCHANGED[asked], tile, exchanged=True)
    strided, dilated = (max(e, default=1) > 1 for e in (spec.stride, spec.input_dilation))
    simpler = {"input_gradient": dilated or not strided}
    exchanged = simpler.get(asked, dilated and not strided)
    contraction = _EXCHANGED[asked] if exchanged else asked
    return Roles(asked, contraction, spec.transposed if exchanged else spec, exchanged)
