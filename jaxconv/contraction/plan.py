"""The plan of a convolution: which forms its three contractions take, as text to print."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jaxconv._core.arguments import DType
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction import empty
from jaxconv.contraction.factors import FACTORS, shape_of
from jaxconv.contraction.form import Contraction, Form
from jaxconv.contraction.planning import Call, choose
from jaxconv.contraction.roles import Roles, simplest

GIVES: dict[Contraction, str] = {"correlate": "y", "input_gradient": "dx", "kernel_gradient": "dw"}
_SAID: dict[Contraction, str] = {
    "correlate": "correlation",
    "input_gradient": "input gradient",
    "kernel_gradient": "kernel gradient",
}


@dataclass(frozen=True)
class Planned:
    """The form that one contraction takes.

    Attributes:
        roles: the contraction, with its roles exchanged where that is simpler.
        form: the form that is taken.
        passed_over: the forms that were tried before it and do not apply.
        inner: the plans of the contractions that the form calls.
    """

    roles: Roles
    form: Form
    passed_over: tuple[Form, ...]
    inner: tuple["Planned", ...]

    def lines(self, indent: str = "") -> Iterator[str]:
        """Yield the lines to print: the form that is taken, why, and the contractions it calls."""
        role = ""
        if self.roles.exchanged:
            role = f", as the {_SAID[self.roles.contraction]} of the transposed spec"
        yield f"{indent}{GIVES[self.roles.asked]}: {self.form.name}{role}: {self.form.when}"
        told = Counter("\n".join(part.lines(indent + "    ")) for part in self.inner)
        for text, times in told.items():
            yield f"{indent}  made of {times} of these:" if times > 1 else f"{indent}  made of:"
            yield text
        passed_over = [form.name for form in self.passed_over if form not in empty.FORMS]
        if passed_over and not indent:
            yield f"  passed over: {', '.join(passed_over)}"


@dataclass(frozen=True)
class Plan:
    """The forms of a convolution and of its two gradients.

    Attributes:
        spec: the convolution.
        batch: the number of examples, an int or a symbol.
        dtype: the dtype of the factors.
        platform: the platform that the plan is for.
        y: the form of the forward pass.
        dx: the form of the gradient for x.
        dw: the form of the gradient for w.
    """

    spec: ConvSpec
    batch: int
    dtype: DType
    platform: str
    y: Planned
    dx: Planned
    dw: Planned

    def __str__(self) -> str:
        """Return the plan as text, with a line for each form."""
        head = f"{self.batch} examples, {self.dtype}, on {self.platform}"
        return "\n".join([head, *self.y.lines(), *self.dx.lines(), *self.dw.lines()])


def plan(
    spec: ConvSpec, batch: int, dtype: DTypeLike = "float32", platform: str | None = None
) -> Plan:
    """Return the forms that a convolution and its gradients take.

    Example:
        >>> from jaxconv.contraction import ConvSpec, plan
        >>> spec = ConvSpec(size=(32, 32), window=(3, 3), stride=(1, 1), dilation=(1, 1),
        ...     input_dilation=(1, 1), padding=((1, 1), (1, 1)), groups=64, channels_in=64,
        ...     channels_out=64)
        >>> plan(spec, 32, platform="cpu").y.form.name
        'depthwise'

    Args:
        spec: the convolution.
        batch: the number of examples; in `jax.export` it may be a symbol.
        dtype: the dtype of its arrays.
        platform: "cpu", "gpu", "tpu" or another name that JAX knows; None is the default backend.
    """
    where = platform or jax.default_backend()
    where = "cuda" if where == "gpu" else where
    known = jnp.dtype(dtype)
    each = (_planned(contraction, spec, batch, known, where) for contraction in GIVES)
    return Plan(spec, batch, known, where, *each)


def _planned(
    asked: Contraction, spec: ConvSpec, batch: int, dtype: DType, platform: str
) -> Planned:
    roles = simplest(asked, spec)
    form, passed_over = choose(roles.contraction, roles.spec, batch, dtype, platform)
    recorder = _Recorder(platform)
    factors = (
        jax.ShapeDtypeStruct(shape_of(factor, roles.spec, batch), dtype)
        for factor in FACTORS[roles.contraction][:2]
    )
    jax.eval_shape(lambda left, right: form.run(roles.spec, left, right, recorder), *factors)
    return Planned(roles, form, passed_over, tuple(recorder.planned))


class _Recorder(Call):
    """An `Inner` that records each contraction it computes, and computes it in the plain form."""

    def __init__(self, platform: str):
        super().__init__(platform)
        object.__setattr__(self, "planned", [])

    planned: list[Planned]

    def run(self, asked: Contraction, spec: ConvSpec, left: Array, right: Array) -> Array:
        """Record the form that would be taken."""
        self.planned.append(_planned(asked, spec, left.shape[0], left.dtype, str(self.platform)))
        return self.plain(asked, spec, left, right)
