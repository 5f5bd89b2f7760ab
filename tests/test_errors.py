"""What every op says to arguments that cannot be meant: when, in which type and which words.

A case is the whole message, and the call that must be answered with it. The op is the one the
message names. Nothing is computed with the arrays, so they are small.
"""

import ast
import functools
import inspect
import pathlib
import re
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxconv
import jaxconv.reference


class Case(NamedTuple):
    error: type[Exception]
    message: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    @property
    def op(self):
        return self.message.partition(":")[0]


def type_error(message, *arguments, **keywords):
    return Case(TypeError, message, arguments, keywords)


def value_error(message, *arguments, **keywords):
    return Case(ValueError, message, arguments, keywords)


def zeros(*shape, dtype=float):
    return np.zeros(shape, dtype)


# A correct call of every op, which the cases spoil, and the names of the arrays in it.
X, W, B = zeros(1, 5, 5, 4), zeros(3, 3, 4, 2), zeros(2)
Z, LABELS = zeros(2, 3), zeros(2, dtype=int)
CORRECT = {
    "conv": (X, W, B),
    "conv_transpose": (X, zeros(3, 3, 2, 4), B),
    "dense": (zeros(2, 3), zeros(3, 4), zeros(4)),
    "relu": (X,),
    "pad": (zeros(2, 3), [(1, 1), (0, 0)]),
    "max_pool": (X, 2),
    "avg_pool": (X, 2),
    "softmax_cross_entropy": (Z, LABELS),
}
NAMES = {
    "conv": ("x", "w", "b"),
    "conv_transpose": ("x", "w", "b"),
    "dense": ("x", "w", "b"),
    "relu": ("x",),
    "pad": ("x",),
    "max_pool": ("x",),
    "avg_pool": ("x",),
    "softmax_cross_entropy": ("logits", "labels"),
}
WINDOWED = ("conv", "conv_transpose", "max_pool", "avg_pool")


def spoil(op, name, change):
    """The correct arguments of op, but for one array."""
    position = NAMES[op].index(name)
    arguments = list(CORRECT[op])
    arguments[position] = change(arguments[position])
    return arguments


def not_arrays():
    for op, names in NAMES.items():
        for name in names:
            must = f"{op}: {name} must be an array, but"
            yield type_error(f"{must} [1.0, 2.0] came", *spoil(op, name, lambda _: [1.0, 2.0]))
            yield type_error(f"{must} 1.0 came", *spoil(op, name, lambda _: 1.0))
            yield type_error(f"{must} 'x' came", *spoil(op, name, lambda _: "x"))
            if name not in ("b", "labels"):
                yield type_error(f"{must} None came", *spoil(op, name, lambda _: None))
            must = f"{op}: {name} must be an array of numbers, but its dtype is"
            yield type_error(f"{must} key<fry>", *spoil(op, name, lambda _: jax.random.key(0)))
    message = "softmax_cross_entropy: weights must be an array, but [1.0, 1.0, 1.0] came"
    yield type_error(message, Z, LABELS, weights=[1.0, 1.0, 1.0])
    # What came is shown, but not all of it.
    message = "dense: x must be an array, but [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1 came"
    yield type_error(message, list(range(100)), zeros(3, 4))


def wrong_dtypes():
    for op, names in (
        ("conv", ("x", "w", "b")),
        ("conv_transpose", ("x", "w", "b")),
        ("dense", ("x", "w", "b")),
        ("avg_pool", ("x",)),
        ("softmax_cross_entropy", ("logits",)),
    ):
        for name in names:
            for dtype in ("int32", "bool", "complex64"):
                message = f"{op}: {name} must be a floating-point array, but its dtype is {dtype}"
                yield type_error(message, *spoil(op, name, lambda array, d=dtype: array.astype(d)))
    for op in ("relu", "pad", "max_pool"):
        for dtype in ("bool", "complex64"):
            message = f"{op}: x must be floating-point or integer, but its dtype is {dtype}"
            yield type_error(message, *spoil(op, "x", lambda array, d=dtype: array.astype(d)))

    op = "softmax_cross_entropy"
    for dtype in ("bool", "complex64"):
        must = f"{op}: labels must be integers or floating-point probabilities"
        message = f"{must}, but their dtype is {dtype}"
        yield type_error(message, Z, zeros(2, dtype=dtype))
        yield type_error(message, Z, zeros(2, 3, dtype=dtype))
    message = f"{op}: weights must be a floating-point array, but its dtype is int32"
    yield type_error(message, Z, LABELS, weights=zeros(3, dtype="int32"))


def mixed_dtypes():
    for op in ("conv", "conv_transpose", "dense"):
        for name in ("w", "b"):
            for dtype in ("float32", "float16", "bfloat16"):
                message = f"{op}: x is float64, but {name} is {dtype} (one dtype is expected)"
                change = functools.partial(np.ndarray.astype, dtype=jnp.dtype(dtype))
                yield type_error(message, *spoil(op, name, change))
    is_single = "is float32 (one dtype is expected)"
    single = functools.partial(zeros, dtype="float32")
    op = "softmax_cross_entropy"
    yield type_error(f"{op}: logits is float64, but labels {is_single}", Z, single(2, 3))
    yield type_error(
        f"{op}: logits is float64, but weights {is_single}", Z, LABELS, weights=single(3)
    )


def options():
    def one_of(op, name, expected, *values):
        for value in values:
            message = f"{op}: {name} must be one of {expected}, but {value!r} came"
            yield value_error(message, *CORRECT[op], **{name: value})

    for op in WINDOWED:
        layouts = "'channels_last', 'channels_first'"
        yield from one_of(op, "layout", layouts, "NHWC", "Channels_Last", None, 1)
    modes = "'zeros', 'reflect', 'replicate', 'circular'"
    yield from one_of("conv", "padding_mode", modes, "wrap", "constant", None)
    yield from one_of("max_pool", "ties", "'first', 'all', 'split'", "last", None, True)
    reductions = "'mean', 'sum', 'none'"
    yield from one_of("softmax_cross_entropy", "reduction", reductions, "average", None)

    precisions = "None, 'default', 'high', 'highest', a jax.lax.Precision or a pair of them"
    must = f"conv: precision must be {precisions}"
    for value in ("lowest", "", 3, ["high"], {}, ("high",) * 3, (None, "high")):
        yield value_error(f"{must}, but {value!r} came", X, W, precision=value)
    for value in (("high", "lowest"), (("high", "high"), "high")):
        yield value_error(f"{must}, but {value!r} came", X, W, precision=value)


def ints_per_dimension():
    """Stride, dilation and window: an int, or one per spatial dimension."""

    def spoiling(op, name):
        def call(error, message, value):
            if name == "window":
                return error(f"{op}: {message}", X, value)
            return error(f"{op}: {message}", *CORRECT[op], **{name: value})

        for value in (True, np.True_, 2.0, 1j, "2"):
            yield call(type_error, f"{name} must be an int, but {value!r} came", value)
        for value in (0, -1):
            yield call(value_error, f"{name} must be at least 1, but {value} came", value)
        yield call(value_error, f"{name}[1] must be at least 1, but 0 came", (2, 0))
        yield call(value_error, f"{name}[0] must be at least 1, but -3 came", [-3, 2])
        yield call(type_error, f"{name}[0] must be an int, but False came", (False, 2))
        yield call(type_error, f"{name}[1] must be an int, but 2.0 came", (1, 2.0))
        yield call(type_error, f"{name}[1] must be an int, but (1, 1) came", (1, (1, 1)))
        for value in ((), (2,), [2, 2, 2]):
            must = f"{name} must be an int or 2 ints, one per spatial dimension"
            yield call(value_error, f"{must}, but {tuple(value)} came", value)

    for op in WINDOWED:
        yield from spoiling(op, "stride")
    for op in ("conv", "max_pool"):
        yield from spoiling(op, "dilation")
    for op in ("max_pool", "avg_pool"):
        yield from spoiling(op, "window")
        yield type_error(f"{op}: window must be an int, but None came", X, None)
    yield type_error("conv: stride must be an int, but None came", X, W, stride=None)


def paddings():
    def spoiling(op):
        def call(error, message, value):
            return error(f"{op}: {message}", *CORRECT[op], padding=value)

        for value in ("REFLECT", "", "SAME "):
            must = "padding must be one of 'SAME', 'SAME_LOWER', 'VALID', 'CAUSAL', ints or pairs"
            yield call(value_error, f"{must}, but {value!r} came", value)
        for value in ("CAUSAL", "causal"):
            message = "padding 'CAUSAL' needs 1 spatial dimension, but x has 2"
            yield call(value_error, message, value)
        for value in (True, 1.0, None, b"SAME"):
            must = "padding must be a name, an int, 2 ints or 2 (low, high) pairs"
            message = f"{must}, one per spatial dimension, but {value!r} came"
            yield call(type_error, message, value)
        yield call(value_error, f"padding must be at most {2**31 - 1}, but {2**62} came", 2**62)
        yield call(value_error, "padding must be at least 0, but -1 came", -1)
        yield call(value_error, "padding[1] must be at least 0, but -1 came", (1, -1))
        yield call(value_error, "padding[1] must be at least 0, but -2 came", ((1, 1), (0, -2)))
        yield call(type_error, "padding[1] must be an int, but 1.0 came", (1, 1.0))
        yield call(type_error, "padding[0] must be an int, but True came", ((True, 1), 1))
        yield call(type_error, "padding[0] must be an int, but 'SAME' came", ("SAME", 1))
        for value in ((), (1,), (1, 1, 1), [(1, 1)], ((1, 1), (1, 1), (1, 1))):
            must = "padding must be a name, an int, 2 ints or 2 (low, high) pairs"
            message = f"{must}, one per spatial dimension, but {value!r} came"
            yield call(value_error, message, value)
        for entry in ((), (1,), [1, 1, 1]):
            must = "padding[1] must be an int or a (low, high) pair"
            yield call(value_error, f"{must}, but {entry!r} came", (1, entry))

    for op in WINDOWED:
        yield from spoiling(op)

    may = "max_pool: padding may not exceed half the window, which spans"
    of = "positions of spatial dimension"
    yield value_error(f"{may} 1 {of} 0, but (1, 1) came", X, 1, padding=1)
    yield value_error(f"{may} 2 {of} 0, but (2, 2) came", X, 2, padding=2)
    yield value_error(f"{may} 3 {of} 0, but (2, 0) came", X, 3, padding=((2, 0), (0, 0)))
    yield value_error(f"{may} 3 {of} 1, but (0, 2) came", X, 3, padding=((1, 1), (0, 2)))
    yield value_error(
        f"{may} 3 {of} 0, but (2, 0) came", zeros(1, 5, 4), 3, stride=1, padding="CAUSAL"
    )


def image_shapes():
    """What x, and the kernel over it, have to look like."""
    for op in WINDOWED:
        for layout, form in (
            ("channels_last", "(N, *spatial, C)"),
            ("channels_first", "(N, C, *spatial)"),
        ):
            for shape in ((), (5, 5), (1, 2, 2, 2, 2, 4)):
                must = f"x must be {form} with 1, 2 or 3 spatial dimensions"
                _, *rest = CORRECT[op]
                message = f"{op}: {must}, but its shape is {shape}"
                yield value_error(message, zeros(*shape), *rest, layout=layout)

    for layout, form in (
        ("channels_last", "(*window, C_in/groups, C_out)"),
        ("channels_first", "(C_out, C_in/groups, *window)"),
    ):
        for shape in ((3, 4, 2), (3, 3, 3, 4, 2)):
            must = f"w must have 4 dimensions {form} to match x of shape (1, 5, 5, 4)"
            message = f"conv: {must}, but its shape is {shape}"
            yield value_error(message, X, zeros(*shape), layout=layout)

    message = "conv: x has 4 channels, but w expects 3 (groups=1)"
    yield value_error(message, X, zeros(3, 3, 3, 2))
    message = "conv: x has 5 channels, but w expects 4 (groups=1)"
    yield value_error(message, X, zeros(2, 4, 3, 3), layout="channels_first")
    message = "conv: x has 4 channels, but w expects 8 (groups=2)"
    yield value_error(message, X, W, groups=2)
    message = "conv: w makes no channels, its shape is (3, 3, 4, 0)"
    yield value_error(message, X, zeros(3, 3, 4, 0))
    message = "conv: w makes 3 channels, which 2 groups cannot share"
    yield value_error(message, X, zeros(3, 3, 2, 3), groups=2)
    for shape in ((1,), (3,), (2, 1), ()):
        message = f"conv: b must have shape (2,), but its shape is {shape}"
        yield value_error(message, X, W, zeros(*shape))
    message = "conv: w has an empty window, its shape is (0, 3, 4, 2)"
    yield value_error(message, X, zeros(0, 3, 4, 2))
    for mode in ("reflect", "replicate", "circular"):
        nothing = f"padding_mode '{mode}' has nothing to pad with, x has shape (1, 0, 5, 4)"
        yield value_error(f"conv: {nothing}", zeros(1, 0, 5, 4), W, padding=2, padding_mode=mode)


def windows_that_fit_nowhere():
    def spans(extent, axis, dilation, size, border):
        return (
            f"the window spans {extent} positions of spatial dimension {axis} (window 3,"
            f" dilation {dilation}), but x has {size} + {border} of padding"
        )

    for size in (2, 0):
        small = zeros(1, 5, size, 4)
        yield value_error(f"conv: {spans(3, 1, 1, size, 0)}", small, W, padding="VALID")
        yield value_error(f"max_pool: {spans(3, 1, 1, size, 0)}", small, 3)
        yield value_error(f"avg_pool: {spans(3, 1, 1, size, 0)}", small, 3)
    yield value_error(f"conv: {spans(3, 0, 1, 0, 2)}", zeros(1, 0, 5, 4), W)
    yield value_error(f"conv: {spans(9, 1, 4, 5, 3)}", X, W, padding=(2, (1, 2)), dilation=4)
    yield value_error(f"max_pool: {spans(7, 0, 3, 5, 0)}", X, 3, dilation=3)


def transposed():
    op, w = "conv_transpose", zeros(3, 3, 2, 4)
    for shape, layout, form in (
        ((3, 2, 4), "channels_last", "(*window, C_out/groups, C_in)"),
        ((4, 2, 3), "channels_first", "(C_in, C_out/groups, *window)"),
    ):
        must = f"w must have 4 dimensions {form} to match x of shape (1, 5, 5, 4)"
        yield value_error(
            f"{op}: {must}, but its shape is {shape}", X, zeros(*shape), layout=layout
        )
    yield value_error(f"{op}: x has 4 channels, but w expects 3", X, zeros(3, 3, 2, 3))
    message = f"{op}: x has 5 channels, but w expects 3"
    yield value_error(message, X, zeros(3, 2, 3, 3), layout="channels_first")
    message = f"{op}: w makes no channels, its shape is (3, 3, 0, 4)"
    yield value_error(message, X, zeros(3, 3, 0, 4))
    yield value_error(f"{op}: x has 4 channels, which 3 groups cannot share", X, w, groups=3)
    yield value_error(f"{op}: b must have shape (4,), but its shape is (2,)", X, w, B, groups=2)
    message = f"{op}: w has an empty window, its shape is (3, 0, 2, 4)"
    yield value_error(message, X, zeros(3, 0, 2, 4))
    less = f"{op}: output_padding must be less than stride or dilation"
    for value, axis, keywords in ((1, 0, {}), ((0, 2), 1, {"stride": 2}), (3, 0, {"dilation": 3})):
        extra = value if axis == 0 else value[axis]
        stride, dilation = keywords.get("stride", 1), keywords.get("dilation", 1)
        message = (
            f"{less}, but {extra} came with stride {stride} and dilation {dilation}"
            f" in spatial dimension {axis}"
        )
        yield value_error(message, X, w, output_padding=value, **keywords)
    message = f"{op}: output_padding must be at least 0, but -1 came"
    yield value_error(message, X, w, output_padding=-1)
    message = f"{op}: output_padding must be 0 with padding 'SAME', but (1, 1) came"
    yield value_error(message, X, w, output_padding=1, stride=2)
    nothing = f"{op}: nothing is left of spatial dimension"
    message = f"{nothing} 0: 5 windows that span 3 positions reach 7, padding cuts 8"
    yield value_error(message, X, w, padding=4)
    message = f"{nothing} 1: 0 windows that span 3 positions reach 2, padding cuts 0"
    yield value_error(message, zeros(1, 5, 0, 4), w, padding="VALID")


def pads():
    x = zeros(2, 3)
    modes = "'constant', 'reflect', 'replicate', 'circular'"
    message = f"pad: mode must be one of {modes}, but 'zeros' came"
    yield value_error(message, x, [(1, 1), (0, 0)], mode="zeros")
    must = "pad: widths must be 2 (low, high) pairs, one per axis of x of shape (2, 3)"
    for widths in (1, (), [(1, 1)], "SAME"):
        yield value_error(f"{must}, but {widths!r} came", x, widths)
    for pair in (1, (1,), (1, 1, 1)):
        message = f"pad: widths[1] must be a (low, high) pair, but {pair!r} came"
        yield value_error(message, x, [(0, 0), pair])
    message = "pad: widths[0] must be an int, but 1.0 came"
    yield type_error(message, x, [(0, 1.0), (0, 0)])
    message = "pad: widths[1] crops 4 of 3, (-3, -1) came"
    yield value_error(message, x, [(0, 0), (-3, -1)])
    message = "pad: mode 'circular' has nothing to copy, x has shape (0, 3)"
    yield value_error(message, zeros(0, 3), [(1, 0), (0, 0)], mode="circular")
    message = "pad: value must be a number, but 'x' came"
    yield type_error(message, x, [(1, 0), (0, 0)], value="x")


def dense_shapes():
    x, w, _ = CORRECT["dense"]
    for shape in ((), (3,), (2, 3, 4)):
        message = f"dense: w must have shape (in, out), but its shape is {shape}"
        yield value_error(message, x, zeros(*shape))
    message = "dense: w makes no outputs, its shape is (3, 0)"
    yield value_error(message, x, zeros(3, 0))
    for shape in ((), (4,), (3, 2)):
        message = f"dense: x has shape {shape}, but w expects (..., 3)"
        yield value_error(message, zeros(*shape), w)
    for shape in ((), (1,), (3,), (1, 4)):
        message = f"dense: b must have shape (4,), but its shape is {shape}"
        yield value_error(message, x, w, zeros(*shape))


def cross_entropy_shapes():
    op = "softmax_cross_entropy"
    for shape in ((), (2, 0)):
        message = f"{op}: logits must be (..., classes), but their shape is {shape}"
        yield value_error(message, zeros(*shape), LABELS)
    for kind, dtype, expected, shapes in (
        ("integer", int, (2,), [(), (3,), (2, 1), (2, 3)]),
        ("probability", float, (2, 3), [(), (2,), (2, 1), (1, 3), (2, 4)]),
    ):
        must = f"{kind} labels must have shape {expected} for logits of shape (2, 3)"
        for shape in shapes:
            message = f"{op}: {must}, but their shape is {shape}"
            yield value_error(message, Z, zeros(*shape, dtype=dtype))
    must = "weights must be (3,), one per class, or (2, 1), one per example, for logits of shape"
    for shape in ((4,), (2, 4), (3, 1), (1, 2, 3)):
        message = f"{op}: {must} (2, 3), but their shape is {shape}"
        yield value_error(message, Z, LABELS, weights=zeros(*shape))


def numbers():
    for value in (True, 2.0, "2", None):
        yield type_error(f"conv: groups must be an int, but {value!r} came", X, W, groups=value)
    for value in (0, -1):
        yield value_error(f"conv: groups must be at least 1, but {value} came", X, W, groups=value)

    for value in (0, 0.0, -0.0):
        yield value_error("avg_pool: divisor must not be 0", X, 2, divisor=value)
    for value in (True, "4", 4j, (2, 2)):
        message = f"avg_pool: divisor must be a number, but {value!r} came"
        yield type_error(message, X, 2, divisor=value)
    for value in (float("nan"), float("inf"), 10**400):
        message = f"avg_pool: divisor must be finite, but {value!r} came"
        yield value_error(message, X, 2, divisor=value)
    for op, name in (
        ("conv", "flip_kernel"),
        ("max_pool", "ceil_mode"),
        ("avg_pool", "ceil_mode"),
        ("avg_pool", "count_include_pad"),
    ):
        for value in (1, "no", None):
            message = f"{op}: {name} must be True or False, but {value!r} came"
            yield type_error(message, *CORRECT[op], **{name: value})

    op = "softmax_cross_entropy"
    for value in (-0.1, 1.1, 2.0):
        message = f"{op}: label_smoothing must be in [0, 1], but {value} came"
        yield value_error(message, Z, LABELS, label_smoothing=value)
    message = f"{op}: label_smoothing must be finite, but nan came"
    yield value_error(message, Z, LABELS, label_smoothing=float("nan"))
    for value in ("0.1", None, (0.1,), True):
        message = f"{op}: label_smoothing must be a number, but {value!r} came"
        yield type_error(message, Z, LABELS, label_smoothing=value)
    for value in (True, 1.0, "1"):
        message = f"{op}: ignore_index must be an int, but {value!r} came"
        yield type_error(message, Z, LABELS, ignore_index=value)
    message = f"{op}: ignore_index must be at least 0, but -1 came"
    yield value_error(message, Z, LABELS.astype("uint8"), ignore_index=-1)
    message = f"{op}: ignore_index must be at most 255, but 300 came"
    yield value_error(message, Z, LABELS.astype("uint8"), ignore_index=300)
    message = f"{op}: ignore_index needs integer labels, but the labels are float64"
    yield value_error(message, Z, zeros(2, 3), ignore_index=0)


CASES = [
    *not_arrays(),
    *wrong_dtypes(),
    *mixed_dtypes(),
    *options(),
    *ints_per_dimension(),
    *paddings(),
    *image_shapes(),
    *windows_that_fit_nowhere(),
    *transposed(),
    *pads(),
    *dense_shapes(),
    *cross_entropy_shapes(),
    *numbers(),
]


def each(cases):
    return pytest.mark.parametrize("case", [pytest.param(c, id=c.message) for c in cases])


def check(case, call):
    with pytest.raises(case.error) as caught:
        call(*case.arguments, **case.keywords)
    assert type(caught.value) is case.error
    assert str(caught.value) == case.message


@each(CASES)
def test_message(case):
    check(case, getattr(jaxconv, case.op))


@each(CASES)
def test_message_under_jit(case):
    """While tracing, before anything is compiled; the arrays are tracers then."""

    def jitted(*arguments, **keywords):
        given = [*arguments, *keywords.values()]

        @jax.jit
        def traced(arrays):
            tracers = iter(arrays)
            values = [next(tracers) if isinstance(v, np.ndarray) else v for v in given]
            named = zip(keywords, values[len(arguments) :], strict=True)
            return getattr(jaxconv, case.op)(*values[: len(arguments)], **dict(named))

        return traced([v for v in given if isinstance(v, np.ndarray)])

    check(case, jitted)


@each(case for case in CASES if case.op.startswith("conv"))
def test_the_twin_of_a_convolution_says_the_same(case):
    check(case, getattr(jaxconv.reference, case.op))


@pytest.mark.parametrize("op", CORRECT)
def test_what_the_cases_spoil_is_correct(op):
    """Otherwise a case could be refused for another reason than its own."""
    jax.eval_shape(functools.partial(getattr(jaxconv, op), *CORRECT[op]))


@pytest.mark.parametrize("name", ["stride", "dilation", "groups", "padding"])
def test_a_traced_number_is_no_int(name):
    """Shapes depend on it, so it has to be known while tracing."""
    with pytest.raises(TypeError) as caught:
        jax.jit(lambda value: jaxconv.conv(X, W, **{name: value}))(1)
    message = rf"conv: {name} must be .*an int.*, but \S*Tracer\S* came"
    assert re.fullmatch(message, str(caught.value))


def raise_statements(module):
    """(file, first line, last line) of every `raise` in a module."""
    path = pathlib.Path(inspect.getfile(module))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise):
            yield str(path), node.lineno, node.end_lineno


def raised_at(case):
    """(file, line) of the `raise` that answers a case."""
    with pytest.raises(case.error) as caught:
        getattr(jaxconv, case.op)(*case.arguments, **case.keywords)
    last = caught.traceback[-1]
    return str(last.path), last.lineno + 1


def test_every_raise_has_a_case():
    """No message of an op is out of the table's sight."""
    modules = {getattr(jaxconv, op).__module__ for op in CORRECT}
    modules |= {"jaxconv.arguments", "jaxconv.geometry"}
    seen = {raised_at(case) for case in CASES}
    unseen = [
        f"{pathlib.Path(file).name}:{first}"
        for name in sorted(modules)
        for file, first, last in raise_statements(sys.modules[name])
        if not any(where == file and first <= line <= last for where, line in seen)
    ]
    assert not unseen
