"""The op that computes the same as an equation of a traced function, or why there is none."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.extend.core import JaxprEqn, Literal, primitives

from jaxconv._core.arguments import FLOATS, Layout
from jaxconv._core.conv_call import ConvCall
from jaxconv._core.geometry import Ints, Windows
from jaxconv._core.types import Options, Values
from jaxconv.conv.conv_general_dilated import conv_general_dilated, read_call
from jaxconv.pooling._extremes import LARGEST, SMALLEST, Extreme
from jaxconv.pooling.avg_pool import mean_rule
from jaxconv.pooling.max_pool import extreme

Op = Callable[..., Array]


class RefusedError(Exception):
    """Raised where no op computes the same as an equation; the message says why."""


def kind_of(eqn: JaxprEqn) -> str | None:
    """Return "conv" for a convolution, "max", "min" or "sum" for a pool, and otherwise None."""
    if eqn.primitive in _KINDS:
        return _KINDS[eqn.primitive]
    if eqn.primitive is primitives.reduce_window_p:
        return _kind_of_general(eqn)
    return None


_KINDS = {
    primitives.conv_general_dilated_p: "conv",
    primitives.reduce_window_max_p: "max",
    primitives.reduce_window_min_p: "min",
    primitives.reduce_window_sum_p: "sum",
}


def _kind_of_general(eqn: JaxprEqn) -> str | None:
    """Recognize a pool whose initial value JAX did not know when it was traced."""
    jaxpr = eqn.params["jaxpr"]
    if len(jaxpr.eqns) != 1 or len(eqn.invars) != 2:
        return None
    (inner,) = jaxpr.eqns
    operands = {id(v) for v in inner.invars}
    if operands != {id(v) for v in jaxpr.invars} or inner.outvars != jaxpr.outvars:
        return None
    return {"max": "max", "min": "min", "add": "sum"}.get(inner.primitive.name)


def avals(operands: Values) -> list[jax.core.ShapedArray]:
    """Return what is known of operands when they are traced: shapes, dtypes, shardings."""
    return [operand.aval for operand in operands]


def op_for(eqn: JaxprEqn) -> Op:
    """Return the op for a convolution or a pool; it takes the operands of the equation.

    Equations that agree in everything get one op, so that JAX traces it once.

    Raises:
        RefusedError: no op computes the same.
    """
    kind = kind_of(eqn)
    assert kind is not None
    operands = avals(eqn.invars)
    for operand in operands:
        if operand.dtype not in FLOATS:
            raise RefusedError(f"{operand.dtype} has no rule")
    if kind == "conv":
        op = _conv_op(_hashable(eqn.params))
    else:
        for initial in eqn.invars[1:]:
            _check_initial(kind, initial)
        op = _pool_op(kind, operands[0].shape, _hashable(eqn.params))
    try:
        jax.eval_shape(op, *operands)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise RefusedError(" ".join(str(error).split())) from error
    return op


def conv_of(eqn: JaxprEqn) -> tuple[ConvCall, int]:
    """Return a convolution as a call of `conv`, and its number of examples.

    Raises:
        TypeError, ValueError: it is none that `conv_general_dilated` takes.
    """
    params = {k: v for k, v in eqn.params.items() if k != "out_sharding"}
    read: list[tuple[ConvCall, int]] = []

    def note(lhs: Array, rhs: Array) -> None:
        conv = read_call(lhs, rhs, **params)
        read.append((conv.call, conv.x.shape[0]))

    jax.eval_shape(note, *avals(eqn.invars))
    return read[0]


def _hashable(params: Options) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((k, v) for k, v in params.items() if k not in ("jaxpr", "consts")))


@functools.lru_cache(maxsize=4096)
def _conv_op(params: tuple[tuple[str, Any], ...]) -> Op:
    return _inlined(functools.partial(conv_general_dilated, **dict(params)), "conv_general_dilated")


def _inlined(function: Op, name: str) -> Op:
    """Return the function compiled by itself, or traced once and inlined in a traced program."""

    def op(*operands: Array) -> Array:
        return function(*operands)

    op.__name__ = op.__qualname__ = name
    return jax.jit(op, inline=True)


_INITIAL = {"max": -math.inf, "min": math.inf, "sum": 0.0}
_EXTREMES: dict[str, Extreme] = {"max": LARGEST, "min": SMALLEST}


def _check_initial(kind: str, initial: object) -> None:
    if not isinstance(initial, Literal):
        raise RefusedError("the initial value of reduce_window is not known when it is traced")
    if np.asarray(initial.val).item() != _INITIAL[kind]:
        raise RefusedError(f"its initial value is {initial.val}, not {_INITIAL[kind]}")


@functools.lru_cache(maxsize=4096)
def _pool_op(kind: str, shape: Ints, params: tuple[tuple[str, Any], ...]) -> Op:
    windows, image, result = _windows_of(shape, **dict(params))

    def pool(x: Array, *_: Array) -> Array:
        x = x.reshape(image)
        if kind == "sum":
            y = mean_rule(windows, True, 1.0, x)
        else:
            y = extreme(_EXTREMES[kind], windows, "first", x)
        return y.reshape(result)

    return _inlined(pool, f"{kind}_pool")


def sliding_axes(
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> range:
    """Return the axes from the first to the last over which the windows of a pool slide."""
    per_axis = enumerate(zip(window_dimensions, window_strides, padding, strict=True))
    found = [axis for axis, each in per_axis if each != (1, 1, (0, 0))]
    return range(found[0], found[-1] + 1) if found else range(0)


def _windows_of(
    shape: Ints,
    *,
    window_dimensions: tuple[int, ...],
    window_strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    base_dilation: tuple[int, ...],
    window_dilation: tuple[int, ...],
) -> tuple[Windows, Ints, Ints]:
    """Return the windows of a `reduce_window`, the image they slide over, and the result's shape.

    The axes before those with windows become the batch, and those behind them the channels. If
    there are none behind, the last one before them becomes the channels.

    Raises:
        RefusedError: the windows do not slide over 1, 2 or 3 neighbouring axes.
    """
    sliding = sliding_axes(window_dimensions, window_strides, padding)
    if set(base_dilation) != {1}:
        raise RefusedError(f"there is no rule for base_dilation {base_dilation}")
    if not sliding:
        raise RefusedError("every window is one number")
    first, last = sliding.start, sliding.stop
    if last - first > 3:
        raise RefusedError(f"the windows slide over {last - first} axes, but rules take at most 3")
    before, size, behind = shape[:first], shape[first:last], shape[last:]
    layout: Layout = "channels_last"
    image = (math.prod(before), *size, math.prod(behind))
    if not behind and before:
        layout = "channels_first"
        image = (math.prod(before[:-1]), before[-1], *size)
    windows = Windows(
        size=size,
        window=window_dimensions[first:last],
        stride=window_strides[first:last],
        dilation=window_dilation[first:last],
        padding=padding[first:last],
        layout=layout,
    )
    if any(isinstance(n, int) and n < 1 for n in windows.output):
        raise RefusedError("no window fits")
    return windows, image, (*before, *windows.output, *behind)
