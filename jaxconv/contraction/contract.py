"""A contraction as one operation of JAX: `contract` and its primitive.

A trace holds one equation for each contraction, with its spec. What JAX asks of an operation
follows from the trilinear form T(x, w, dy):

    shape        that of the factor that is left out
    derivative   T is linear in each factor: d T(x, w) = T(dx, w) + T(x, dw)
    transposed   the contraction of the other factor with the cotangent
    vmap         one contraction, of more examples, channels or groups (mapped.py)
    lowering     the form that is chosen for the platform (planning.py), without loops if
                 XLA cuts the program over devices (cut.py)

So derivatives of any order and mapped contractions get forms of their own, forms for other
platforms are never traced, and layers that agree are lowered once.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.sharding import NamedSharding

from jaxconv._core.arguments import Layout, Precisions, accumulator, aligned
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction import cut
from jaxconv.contraction.factors import FACTORS, shape_of
from jaxconv.contraction.form import Contraction
from jaxconv.contraction.mapped import together
from jaxconv.contraction.planning import PLATFORMS, Call

CONTRACTION = Primitive("contraction")


def contract(
    asked: Contraction,
    spec: ConvSpec,
    left: Array,
    right: Array,
    *,
    layout: Layout = "channels_last",
    precision: Precisions = None,
    sharding: NamedSharding | None = None,
) -> Array:
    """Compute one of the three contractions, on any platform the program is lowered for."""
    # Only the plain form can say how its result lies on a mesh with Explicit axes.
    if any(jax.typeof(factor).sharding.mesh.explicit_axes for factor in (left, right)):
        return Call(None, precision, layout, sharding).plain(asked, spec, left, right)
    # This setting of JAX need not be the same where the program is lowered.
    default = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return CONTRACTION.bind(
        *aligned(left, right), asked=asked, spec=spec, layout=layout, precision=precision,
        default=default,
    )  # fmt: skip


def _compute(
    platform: str | None,
    left: Array,
    right: Array,
    *,
    asked: Contraction,
    spec: ConvSpec,
    layout: Layout,
    precision: Precisions,
    default: str | None,
    is_cut: bool = False,
) -> Array:
    """Compute the contraction in the form for a platform; None is one without forms of its own.

    `is_cut` says whether XLA cuts the program over devices.
    """
    with jax.default_matmul_precision(default):
        if is_cut and platform is not None and asked == "kernel_gradient":
            return cut.kernel_gradient(spec, left, right, layout, precision)
        return Call(platform, precision, layout).run(asked, spec, left, right)


def _lower(platform: str | None, context: Any, *factors: object, **how: object) -> Any:
    """Write out the form for a platform."""
    # Without the axes of a mesh over which the factors vary: they change no operation of a form.
    types = [jax.core.ShapedArray(of.shape, of.dtype) for of in context.avals_in]
    compute = partial(_compute, platform, is_cut=cut.is_cut(context))
    lower = mlir.lower_fun(compute, multiple_results=False)
    return lower(context.replace(avals_in=types), *factors, **how)


def _evaluate(left: Array, right: Array, **how: Any) -> Array:
    """Compute the contraction of two arrays outside of `jax.jit`."""
    if jax.config.jax_disable_jit:  # type: ignore[attr-defined]
        return _compute(None, left, right, **how)
    return _compiled(**how)(left, right)


@cache
def _compiled(**how: object) -> Callable[[Array, Array], Array]:
    return jax.jit(partial(CONTRACTION.bind, **how))


def _type(
    left: ShapedArray,
    right: ShapedArray,
    *,
    asked: Contraction,
    spec: ConvSpec,
    layout: Layout,
    **_: object,
) -> ShapedArray:
    batch = (right if asked == "input_gradient" else left).shape[0]
    shape = shape_of(FACTORS[asked][2], spec, batch, layout)
    return left.update(shape=shape, dtype=accumulator(left.dtype), weak_type=False)


def _map(factors: Sequence[Array], axes: Sequence[int | None], **how: Any) -> tuple[Array, int]:
    mapped = [axis is not None for axis in axes]
    first = [
        factor if axis is None else jnp.moveaxis(factor, axis, 0)
        for factor, axis in zip(factors, axes, strict=True)
    ]
    size = first[mapped.index(True)].shape[0]
    asked, spec, layout = (how.pop(name) for name in ("asked", "spec", "layout"))
    bind = partial(_bind, **how)
    return together(bind, asked, spec, size, mapped, first, layout), 0


def _bind(asked: Contraction, spec: ConvSpec, left: Array, right: Array, **how: object) -> Array:
    return CONTRACTION.bind(left, right, asked=asked, spec=spec, **how)


def _transpose(
    wanted: int, cotangent: Array, *factors: Any, asked: Contraction, **how: object
) -> Array:
    """Return the contraction of the cotangent with the factor that is not `wanted` (0 or 1)."""
    of_wanted = FACTORS[asked][wanted]
    arrays = {FACTORS[asked][1 - wanted]: factors[1 - wanted], FACTORS[asked][2]: cotangent}
    back = next(name for name, (*_, result) in FACTORS.items() if result == of_wanted)
    # The cotangent of a sum of 16-bit products has 32 bits.
    left, right = (arrays[name].astype(cotangent.dtype) for name in FACTORS[back][:2])
    result = CONTRACTION.bind(left, right, asked=back, **how)
    return result.astype(factors[wanted].aval.dtype)


CONTRACTION.def_impl(_evaluate)
CONTRACTION.def_abstract_eval(_type)
batching.primitive_batchers[CONTRACTION] = _map
ad.defbilinear(CONTRACTION, partial(_transpose, 0), partial(_transpose, 1))
for _platform in (*PLATFORMS, None):
    mlir.register_lowering(CONTRACTION, partial(_lower, _platform), platform=_platform)
