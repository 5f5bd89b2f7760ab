"""Which form a contraction takes: the one place that decides.

1. Exchange the roles of x and y where that is simpler (`roles.py`).
2. Take the first form of the registry that applies on the platform (`choose`).
3. Run it (`Call`): the plain form in the layout of the call, any other form with channels last.
"""

from dataclasses import dataclass, replace

from jax import Array, lax
from jax.sharding import NamedSharding

from jaxconv._core.arguments import DType, Layout, Precisions
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction import empty, plain
from jaxconv.contraction.factors import roles_of
from jaxconv.contraction.form import Contraction, Form
from jaxconv.contraction.layouts import as_channels_last, from_channels_last
from jaxconv.contraction.registry import FORMS, forms_of
from jaxconv.contraction.roles import Roles, simplest

PLATFORMS = tuple(sorted({platform for form in FORMS for platform in form.platforms}))
_PLAIN = {
    "correlate": plain.correlate,
    "input_gradient": plain.input_gradient,
    "kernel_gradient": plain.kernel_gradient,
}


def choose(
    contraction: Contraction, spec: ConvSpec, batch: int, dtype: DType, platform: str | None
) -> tuple[Form, tuple[Form, ...]]:
    """Return the form that is taken, and the forms tried before it, which do not apply.

    A symbolic number of examples counts as one. Without spatial dimensions, or where a size is
    symbolic, only the plain and the empty form are tried: they take every spec.
    """
    known = isinstance(batch, int)
    special = spec.dims == 0 or not spec.is_static
    dilated = max(spec.input_dilation, default=1) > 1
    passed_over: list[Form] = []
    for form in forms_of(contraction, platform):
        takes_all = form in plain.FORMS or form in empty.FORMS
        fits = (known or not form.needs_batch) and (form.input_dilation or not dilated)
        asked = takes_all or (fits and not special)
        if asked and form.applies(spec, batch if known else 1, dtype):
            break
        passed_over.append(form)
    return form, tuple(passed_over)


@dataclass(frozen=True)
class Call:
    """The settings of a contraction besides its spec and factors; a form gets them as its `Inner`.

    Attributes:
        platform: the platform on which the contraction runs; None if it has no special forms.
        precision: the precision of the products of its factors.
        layout: the layout of its factors and of its result.
        sharding: the sharding of the result, if it is on a mesh with Explicit axes; otherwise None.
    """

    platform: str | None = None
    precision: Precisions = None
    layout: Layout = "channels_last"
    sharding: NamedSharding | None = None

    def run(self, asked: Contraction, spec: ConvSpec, left: Array, right: Array) -> Array:
        """Compute the contraction in the form that `choose` takes for this platform."""
        roles = simplest(asked, spec)
        batch = (right if asked == "input_gradient" else left).shape[0]
        form, _ = choose(roles.contraction, roles.spec, batch, left.dtype, self.platform)
        if form in plain.FORMS:
            return self._plain_without_holes(roles, spec, left, right)
        *of_factors, of_result = roles_of(asked)
        last = (
            as_channels_last(factor, role, self.layout)
            for factor, role in zip((left, right), of_factors, strict=True)
        )
        inner = Call(self.platform, self.precision)
        inner = inner.with_factors_exchanged() if roles.turns_factors else inner
        result = roles.result(form.run(roles.spec, *roles.factors(*last), inner))
        return from_channels_last(result, of_result, self.layout)

    def _plain_without_holes(
        self, roles: Roles, spec: ConvSpec, left: Array, right: Array
    ) -> Array:
        """Compute the plain form in the original roles, unless that would sum over holes in x.

        Holes are the zeros that an input dilation puts between elements. For the kernel gradient,
        the exchanged roles avoid them. For the other two contractions, lax makes the same program
        in both roles.
        """
        if roles.asked != "kernel_gradient" or max(spec.input_dilation, default=1) == 1:
            return self.plain(roles.asked, spec, left, right)
        call = self.with_factors_exchanged() if roles.turns_factors else self
        dw = call.plain(roles.contraction, roles.spec, *roles.factors(left, right))
        return roles.result(dw, self.layout)

    def plain(self, asked: Contraction, spec: ConvSpec, left: Array, right: Array) -> Array:
        """Compute the contraction in the plain form, which takes every spec.

        For a kernel gradient on a CPU, XLA first copies x to another layout. Without the barrier,
        XLA of JAX 0.12 does so in the forward pass, and keeps the copy beside x until dw is
        computed: a gradient of ResNet-20 for 64 images of 32×32 takes 111 MB so, and 103 MB with
        the barrier. In JAX 0.10.0, 0.10.1 and 0.11.0 the barrier has no effect.
        """
        if asked == "kernel_gradient" and self.platform == "cpu":
            left, right = lax.optimization_barrier((left, right))
        return _PLAIN[asked](
            spec, left, right, layout=self.layout, precision=self.precision, sharding=self.sharding
        )

    def correlate(self, spec: ConvSpec, x: Array, w: Array) -> Array:
        """Return y[n, i, k] = Σ_{a,c} x̂[n, s·i + d·a − low, c] · w[a, c, k]."""
        return self.run("correlate", spec, x, w)

    def with_factors_exchanged(self) -> "Call":
        """Return a call like this one, with a pair of precisions reversed."""
        if not isinstance(self.precision, tuple):
            return self
        of_left, of_right = self.precision
        return replace(self, precision=(of_right, of_left))

    def kernel_gradient(self, spec: ConvSpec, x: Array, dy: Array) -> Array:
        """Return dw[a, c, k] = Σ_{n,i} x̂[n, s·i + d·a − low, c] · dy[n, i, k]."""
        return self.run("kernel_gradient", spec, x, dy)
