"""Steps with other parameters: axes, exponents, strides, dilations and paddings."""

import itertools
from collections.abc import Iterator
from functools import partial

from jaxconv._core.types import Options
from jaxconv.check.diagnosis.numbers import axis_words
from jaxconv.check.diagnosis.repair.edits.place import (
    Edit,
    Known,
    Place,
    read,
    with_params,
)
from jaxconv.check.diagnosis.repair.program import Step, Value

REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "argmax", "argmin")
CUMULATIVE = ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")
MOST = 4
"""The largest stride and dilation that are tried."""
FURTHEST = 3
"""By so much is a padding changed at most."""


def other_parameters(place: Place) -> Iterator[Edit]:
    """Run the step with other parameters."""
    name = place.step.name
    if name in REDUCTIONS:
        yield from _reduction(place)
    elif name in CUMULATIVE:
        yield from _cumulative(place)
    elif name == "conv_general_dilated":
        yield from _convolution(place)
    elif name == "integer_pow":
        for y in (-3, -2, -1, 1, 2, 3, 4):
            yield Edit("other_derivative", f"the exponent is {y}", with_params(y=y))
    elif name == "rev":
        for axes in _subsets(place.operands[0].ndim):
            words = f"only {axis_words(axes)} turned round"
            yield Edit("spatially_flipped", words, with_params(dimensions=axes))
    elif name == "transpose":
        yield from _transpose(place)


def _subsets(ndim: int) -> Iterator[tuple[int, ...]]:
    for count in range(1, ndim + 1):
        yield from itertools.combinations(range(ndim), count)


def _reduction(place: Place) -> Iterator[Edit]:
    axes = tuple(place.step.params["axes"])
    for other in _subsets(place.operands[0].ndim):
        if other != axes and len(other) == len(axes):
            words = f"{place.step.name} runs over {axis_words(other)}"
            yield Edit("wrong_reduction", words, with_params(axes=other))


def _cumulative(place: Place) -> Iterator[Edit]:
    name, params = place.step.name, place.step.params
    reverse = not params["reverse"]
    yield Edit("wrong_axis", f"{name} runs from the other end", with_params(reverse=reverse))
    for axis in range(place.operands[0].ndim):
        if axis != params["axis"]:
            yield Edit("wrong_axis", f"{name} runs along axis {axis}", with_params(axis=axis))


def _transpose(place: Place) -> Iterator[Edit]:
    shape = place.operands[0].shape
    for order in itertools.permutations(range(len(shape))) if len(shape) < 5 else ():
        if tuple(shape[i] for i in order) == place.y.shape:
            yield Edit("axes_swapped", f"the axes are in the order {order}",
                       with_params(permutation=order))  # fmt: skip


def _convolution(place: Place) -> Iterator[Edit]:
    """Take another stride or dilation along all axes, and the paddings that then fit."""
    x, w = place.operands[:2]
    params = place.step.params
    dims = len(params["window_strides"])
    for field, what, mistake in (
        ("window_strides", "the stride", "stride_forgotten"),
        ("lhs_dilation", "the dilation of the left operand", "stride_forgotten"),
        ("rhs_dilation", "the dilation of the right operand", "dilation_forgotten"),
    ):
        for size in range(1, MOST + 1):
            for low, high in itertools.product(range(-FURTHEST, FURTHEST + 1), repeat=2):
                new = _padded(params, low, high) | {field: (size,) * dims}
                if _windows(params | new, x, w) == _windows(params, x, w):
                    change = partial(_convolved, {field: (size,) * dims}, low, high)
                    yield Edit(mistake, f"{what} is {size}", change)
    for by in range(-FURTHEST, FURTHEST + 1):
        words = f"the padding is {_padded(params, by, -by)['padding'][0]}"
        yield Edit("padding_forgotten", words, partial(_convolved, {}, by, -by))


def _padded(params: Options, low: int, high: int) -> Options:
    """Return the paddings of a step with these numbers added."""
    return {"padding": [(a + low, b + high) for a, b in params["padding"]]}


def _convolved(new: Options, low: int, high: int, step: Step, known: Known) -> list[Value]:
    """Convolve with new parameters, and these numbers added to what is the padding in this call."""
    return step.run(read(step, known), step.params | _padded(step.params, low, high) | new)


def _windows(params: Options, x: Value, w: Value) -> list[int]:
    """Return the number of windows along each axis."""
    numbers = params["dimension_numbers"]
    given = zip(
        numbers.lhs_spec[2:], numbers.rhs_spec[2:], params["padding"], params["window_strides"],
        params["lhs_dilation"], params["rhs_dilation"], strict=True,
    )  # fmt: skip
    return [
        (e * (x.shape[i] - 1) + 1 + low + high - d * (w.shape[k] - 1) - 1) // s + 1
        for i, k, (low, high), s, e, d in given
    ]
