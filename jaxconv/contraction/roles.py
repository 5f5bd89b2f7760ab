"""Exchanging the roles of x and y, where the other way round says the same more simply.

A spec and its `transposed` describe one sum of products, T(x, w, dy) = T'(dy, w', x), where w' is
the kernel read backwards with its channels exchanged. So

    correlate(spec, x, w)         = input_gradient(spec.transposed, w', x)
    input_gradient(spec, w, dy)   = correlate(spec.transposed, dy, w')
    kernel_gradient(spec, x, dy)  = kernel_gradient(spec.transposed, dy, x)'

and whoever asks for a transposed convolution, `conv_transpose`, `lhs_dilation` or the backward pass
of a convolution with a stride, gets the same forms.
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
    """A contraction of a spec, perhaps as another one of the transposed spec.

    Attributes:
        asked: which of the three was asked for.
        contraction: which of the three it is.
        spec: the spec of that.
        exchanged: whether it is the transposed one.
    """

    asked: Contraction
    contraction: Contraction
    spec: ConvSpec
    exchanged: bool

    def factors(self, left: Array, right: Array) -> tuple[Array, Array]:
        """The factors, from those of what was asked for. Channels last."""
        if not self.exchanged:
            return left, right
        if self.asked == "correlate":
            return transposed(right, self.spec.groups), left
        if self.asked == "input_gradient":
            return right, transposed(left, self.spec.groups)
        return right, left

    def result(self, result: Array, layout: Layout = "channels_last") -> Array:
        """What was asked for, from the result."""
        return transposed(result, self.spec.groups, layout) if self.turns_factors else result

    @property
    def turns_factors(self) -> bool:
        """Whether the factors change places; those of an input gradient are dy and w, as of y."""
        return self.exchanged and self.asked == "kernel_gradient"


def _as_tile(spec: ConvSpec) -> ConvSpec | None:
    """The spec with windows that lie side by side, if there is but one."""
    if not spec.is_static or spec.groups > 1 or spec.taps == 1:
        return None
    solid = max(*spec.dilation, *spec.input_dilation) == 1 == max(spec.output)
    if not solid or spec.is_empty:
        return None
    # Of what the window leaves over there might be tiles, too.
    return replace(spec, stride=spec.window, padding=spec.covering)


def simplest(asked: Contraction, spec: ConvSpec) -> Roles:
    """Without an input dilation if that can be, and a correlation rather than an input gradient.

    Both a stride and an input dilation stay where there are both. Where an image has one window the
    stride is that of a tile, which makes three matrix products of the contractions.
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
