"""A contraction under `vmap`: one contraction of more examples, channels or groups.

`jax.vmap` maps over an axis v, of length V, that some of the three factors of T(x, w, dy) have. The
axis v joins another axis that the same factors have:

    x and dy    the examples: there are V times as many
    w and dy    the output channels: each group has V times as many
    x and w     the input channels: each group has V times as many
    all three   the groups: there are V times as many

So the forms are chosen for what is really computed. JAX's own rules would map each step of a form,
and turn one convolution into one with V groups, for which XLA's CPU backend is slow.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv._core.arguments import Layout
from jaxconv._core.conv_spec import ConvSpec
from jaxconv.contraction.factors import FACTORS, ROLES
from jaxconv.contraction.form import Contraction
from jaxconv.contraction.layouts import as_channels_last, from_channels_last


def together(
    contract: Callable[..., Array],
    asked: Contraction,
    spec: ConvSpec,
    size: int,
    mapped: Sequence[bool],
    factors: Sequence[Array],
    layout: Layout,
) -> Array:
    """Return the contractions for all v, which is the first axis of each mapped factor.

    `contract(asked, spec, left, right, layout=…)` computes one contraction.
    """
    if size == 0:
        pairs = zip(factors, mapped, strict=True)
        one = [jax.ShapeDtypeStruct(a.shape[1:] if has else a.shape, a.dtype) for a, has in pairs]
        of_one = jax.eval_shape(partial(contract, asked, spec, layout=layout), *one)
        return jnp.zeros((0, *of_one.shape), of_one.dtype)
    *names, result = FACTORS[asked]
    having = {result} | {name for name, has in zip(names, mapped, strict=True) if has}
    folded = []
    for name, array in zip(names, factors, strict=True):
        order = partial(as_channels_last, role=ROLES[name], layout=layout)
        if name in having:
            folded.append(_fold(jax.vmap(order)(array), name, spec.groups, having))
        else:
            folded.append(order(array))
    left, right = folded
    joined = contract(asked, _joined(spec, size, having), left, right, layout="channels_last")
    each = _unfold(joined, result, size, spec.groups, having)
    return jax.vmap(partial(from_channels_last, role=ROLES[result], layout=layout))(each)


def _joined(spec: ConvSpec, size: int, having: set[str]) -> ConvSpec:
    """Return the spec of all v together."""
    more_in = size if {"x", "w"} <= having else 1
    more_out = size if {"w", "y"} <= having else 1
    return replace(
        spec,
        groups=spec.groups * (size if len(having) == 3 else 1),
        channels_in=spec.channels_in * more_in,
        channels_out=spec.channels_out * more_out,
    )


def _fold(array: Array, factor: str, groups: int, having: set[str]) -> Array:
    """Move v from the front to the axis that it joins: (v, …) to examples or channels."""
    if factor != "w" and "w" not in having:
        return array.reshape(array.shape[0] * array.shape[1], *array.shape[2:])
    if factor == "w" and "y" not in having:
        *window, count, c_in, c_out = jnp.moveaxis(array, 0, -3).shape
        return jnp.moveaxis(array, 0, -3).reshape(*window, count * c_in, c_out)
    # If all three have v, each v has groups of its own; otherwise each group has channels of all v.
    array = jnp.moveaxis(array, 0, -2)
    *others, count, channels = array.shape
    if len(having) < 3:
        array = array.reshape(*others, count, groups, channels // groups).swapaxes(-3, -2)
    return array.reshape(*others, count * channels)


def _unfold(result: Array, factor: str, size: int, groups: int, having: set[str]) -> Array:
    """Move v back to the front."""
    if factor != "w" and "w" not in having:
        return result.reshape(size, result.shape[0] // size, *result.shape[1:])
    if factor == "w" and "y" not in having:
        *others, c_in, c_out = result.shape
        return jnp.moveaxis(result.reshape(*others, size, c_in // size, c_out), -3, 0)
    *others, channels = result.shape
    if len(having) == 3:
        return jnp.moveaxis(result.reshape(*others, size, channels // size), -2, 0)
    each = result.reshape(*others, groups, size, channels // groups // size)
    return jnp.moveaxis(each, -2, 0).reshape(size, *others, channels // size)
