"""What every op says to arguments that cannot be meant: when, in which type and which words.

What an argument of a common name must be is tried here on every op that has it, by spoiling one
argument of a correct call. The rest comes from the records of the catalogue.
"""

import ast
import functools
import inspect
import pathlib
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxconv
import jaxconv.reference
from jaxconv.check.catalogue import CATALOGUE
from jaxconv.check.catalogue.record import type_error, value_error

INTEGERS_TOO = {
    *("relu", "pad", "max_pool", "min_pool", "max_pool_with_indices"),
    *("global_max_pool", "adaptive_max_pool"),
}


def parameters(op):
    return inspect.signature(getattr(jaxconv, op)).parameters


OPS = {name: parameters(name) for name in CATALOGUE}


def having(*names):
    """The ops that have all these parameters."""
    return [op for op, known in OPS.items() if set(names) <= set(known)]


@functools.cache
def correct(op):
    """The arguments of a correct call, by name; of a picture where there is a choice."""
    record = CATALOGUE[op]
    samples = [record.sample(seed) for seed in (*record.transformed, *range(30))]
    pictures = [s for s in samples if max(a.ndim for a in s.arrays.values()) == 4]
    sample = (pictures if "layout" in OPS[op] and pictures else samples)[0]
    return {**sample.arrays, **sample.fixed, **sample.options}


def spoilt(error, op, message, **changed):
    """The correct call of op but for these arguments; what refuses it."""
    return error(f"{op}: {message}", **{**correct(op), **changed})


def float_arrays(op):
    """The names of the arrays that must be floats."""
    return list(CATALOGUE[op].sample(CATALOGUE[op].transformed[0]).arrays)


def all_arrays(op):
    """Arrays of numbers: integers that go with them too, keys not."""
    given = correct(op)
    return [n for n, v in given.items() if isinstance(v, np.ndarray) and n != "key"]


def not_arrays():
    for op in CATALOGUE:
        for name in all_arrays(op):
            for value in ([1.0, 2.0], 1.0, "x", None, list(range(100))):
                if value is None and OPS[op][name].default is None:
                    continue
                message = f"{name} must be an array, but got {value!r:.40}"
                yield spoilt(type_error, op, message, **{name: value})
            message = f"{name} must be an array of numbers, but its dtype is key<fry>"
            yield spoilt(type_error, op, message, **{name: jax.random.key(0)})


def wrong_dtypes():
    for op in CATALOGUE:
        for name in float_arrays(op):
            array = correct(op).get(name)
            if array is None:
                continue
            dtypes = ["bool", "complex64", jnp.float8_e4m3fn]
            if op in INTEGERS_TOO:
                must = "must be floating-point or integer"
            else:
                must, dtypes = "must be a floating-point array", [*dtypes, "int32"]
            if name in ("labels", "target"):
                continue  # each loss has words of its own for these
            for dtype in dtypes:
                message = f"{name} {must}, but its dtype is {np.dtype(dtype)}"
                yield spoilt(type_error, op, message, **{name: array.astype(dtype)})


def mixed_dtypes():
    for op in CATALOGUE:
        first, *others = (n for n in float_arrays(op) if n in correct(op))
        for name in others:
            for dtype in ("float32", "float16", "bfloat16"):
                message = f"{first} is float64, but {name} is {dtype} (one dtype is expected)"
                cast = correct(op)[name].astype(jnp.dtype(dtype))
                yield spoilt(type_error, op, message, **{name: cast})


OPTIONS = {
    "layout": (("channels_last", "channels_first"), ("NHWC", "Channels_Last", None, 1)),
    "padding_mode": (("zeros", "reflect", "replicate", "circular"), ("wrap", "constant", None)),
    "ties": (("first", "all", "split"), ("last", None, True)),
    "reduction": (("mean", "sum", "none"), ("average", None)),
    "method": (("nearest", "linear"), ("bilinear", None)),
}
RESIZE_METHODS = ("nearest", "nearest_floor", "linear")


def options():
    for name, (known, unknown) in OPTIONS.items():
        for op in having(name):
            methods = RESIZE_METHODS if (op, name) == ("resize", "method") else known
            expected = ", ".join(map(repr, methods))
            for value in unknown:
                message = f"{name} must be one of {expected}, but got {value!r}"
                yield spoilt(value_error, op, message, **{name: value})


def precisions():
    must = "precision must be None, 'default', 'high', 'highest', a jax.lax.Precision"
    for op in ("conv", "conv_transpose"):
        for value in (
            *("lowest", "", 3, ["high"], {}, ("high",) * 3, (None, "high")),
            *(("high", "lowest"), (("high", "high"), "high")),
        ):
            message = f"{must} or a pair of them, but got {value!r}"
            yield spoilt(value_error, op, message, precision=value)


def dims(op):
    return correct(op)["x"].ndim - 2


WINDOWED = [*having("x", "window", "layout"), "conv", "conv_transpose"]


def ints_per_dimension():
    """Stride, dilation and window: an int, or one per spatial dimension."""
    for op in WINDOWED:
        for name in [n for n in ("stride", "dilation", "window") if n in OPS[op]]:
            spoil = functools.partial(spoilt, op=op)
            for value in (True, np.True_, 2.0, 1j, "2"):
                message = f"{name} must be an int, but got {value!r}"
                yield spoil(type_error, message=message, **{name: value})
            if OPS[op][name].default is not None:
                message = f"{name} must be an int, but got None"
                yield spoil(type_error, message=message, **{name: None})
            for value in (0, -1):
                message = f"{name} must be at least 1, but got {value}"
                yield spoil(value_error, message=message, **{name: value})
            for value, error, message in (
                ((2, 0), value_error, f"{name}[1] must be at least 1, but got 0"),
                ([-3, 2], value_error, f"{name}[0] must be at least 1, but got -3"),
                ((False, 2), type_error, f"{name}[0] must be an int, but got False"),
                ((1, 2.0), type_error, f"{name}[1] must be an int, but got 2.0"),
                ((1, (1, 1)), type_error, f"{name}[1] must be an int, but got (1, 1)"),
            ):
                yield spoil(error, message=message, **{name: value})
            for value in ((), (2,), [2, 2, 2]):
                must = f"{name} must be an int or 2 ints, one per spatial dimension"
                message = f"{must}, but got {tuple(value)}"
                yield spoil(value_error, message=message, **{name: value})


def paddings():
    for op in having("padding", "x", "layout"):

        def call(error, message, value, op=op):
            return spoilt(error, op, message, padding=value)

        for value in ("REFLECT", "", "SAME "):
            must = "padding must be one of 'SAME', 'SAME_LOWER', 'VALID', 'CAUSAL', ints or pairs"
            yield call(value_error, f"{must}, but got {value!r}", value)
        for value in ("CAUSAL", "causal"):
            message = "padding 'CAUSAL' needs 1 spatial dimension, but x has 2"
            yield call(value_error, message, value)
        for value in (True, 1.0, None, b"SAME"):
            must = "padding must be a name, an int, 2 ints or 2 (low, high) pairs"
            message = f"{must}, one per spatial dimension, but got {value!r}"
            yield call(type_error, message, value)
        yield call(value_error, f"padding must be at most {2**31 - 1}, but got {2**62}", 2**62)
        yield call(value_error, "padding must be at least 0, but got -1", -1)
        yield call(value_error, "padding[1] must be at least 0, but got -1", (1, -1))
        yield call(value_error, "padding[1] must be at least 0, but got -2", ((1, 1), (0, -2)))
        yield call(type_error, "padding[1] must be an int, but got 1.0", (1, 1.0))
        yield call(type_error, "padding[0] must be an int, but got True", ((True, 1), 1))
        yield call(type_error, "padding[0] must be an int, but got 'SAME'", ("SAME", 1))
        for value in ((), (1,), (1, 1, 1), [(1, 1)], ((1, 1), (1, 1), (1, 1))):
            must = "padding must be a name, an int, 2 ints or 2 (low, high) pairs"
            message = f"{must}, one per spatial dimension, but got {value!r}"
            yield call(value_error, message, value)
        for entry in ((), (1,), [1, 1, 1]):
            must = "padding[1] must be an int or a (low, high) pair"
            yield call(value_error, f"{must}, but got {entry!r}", (1, entry))


def image_shapes():
    """x has 1 to 3 spatial dimensions."""
    for op in WINDOWED:
        if op == "fold":
            continue  # x holds windows, not an image
        for layout, form in (
            ("channels_last", "(N, *spatial, C)"),
            ("channels_first", "(N, C, *spatial)"),
        ):
            for shape in ((), (5, 5), (1, 2, 2, 2, 2, 4)):
                must = f"x must be {form} with 1, 2 or 3 spatial dimensions"
                message = f"{must}, but its shape is {shape}"
                yield spoilt(value_error, op, message, x=np.zeros(shape), layout=layout)


def windows_that_fit_nowhere():
    for op in having("x", "window", "layout", "padding"):
        if op == "fold":
            continue
        for size in (2, 0):
            message = (
                f"the window spans 3 positions of spatial dimension 1 (window 3, dilation 1),"
                f" but x has {size} + 0 of padding"
            )
            x = np.zeros((1, 5, size, 4))
            rest = {k: v for k, v in correct(op).items() if k in ("p",)}
            yield value_error(f"{op}: {message}", x=x, window=3, **rest)


def flags():
    for name in ("flip_kernel", "ceil_mode", "count_include_pad", "align_corners", "keepdims"):
        for op in having(name):
            for value in (1, "no", None):
                message = f"{name} must be True or False, but got {value!r}"
                yield spoilt(type_error, op, message, **{name: value})


def numbers():
    for op in having("groups"):
        for value in (True, 2.0, "2", None):
            message = f"groups must be an int, but got {value!r}"
            yield spoilt(type_error, op, message, groups=value)
        for value in (0, -1):
            message = f"groups must be at least 1, but got {value}"
            yield spoilt(value_error, op, message, groups=value)
    for name in ("eps", "label_smoothing", "rate", "delta", "gamma", "margin", "negative_slope",
                 "lambd", "alpha", "beta", "k", "p", "divisor"):  # fmt: skip
        for op in having(name):
            if name in float_arrays(op):
                continue  # prelu's alpha
            for value in (True, "4", 4j, (2, 2)):
                message = f"{name} must be a number, but got {value!r}"
                yield spoilt(type_error, op, message, **{name: value})
            for value in (float("nan"), float("inf"), 10**400):
                message = f"{name} must be finite, but got {value!r}"
                yield spoilt(value_error, op, message, **{name: value})
    for op in having("ignore_index"):
        labels = np.zeros(3, int)
        scores = {n: np.zeros((3, 4)) for n in ("logits", "log_probs") if n in OPS[op]}
        call = functools.partial(dict, **scores, labels=labels)
        for value in (True, 1.0, "1"):
            message = f"{op}: ignore_index must be an int, but got {value!r}"
            yield type_error(message, **call(ignore_index=value))
        for limit, value in (("least 0", -1), ("most 255", 300)):
            message = f"{op}: ignore_index must be at {limit}, but got {value}"
            small = labels.astype("uint8")
            yield value_error(message, **call(ignore_index=value, labels=small))


CASES = [
    *not_arrays(),
    *wrong_dtypes(),
    *mixed_dtypes(),
    *options(),
    *precisions(),
    *ints_per_dimension(),
    *paddings(),
    *image_shapes(),
    *windows_that_fit_nowhere(),
    *flags(),
    *numbers(),
    *(refusal for record in CATALOGUE.values() for refusal in record.refusals()),
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
    """Of the op, and while it is traced: before anything is compiled; the arrays are tracers."""
    op = getattr(jaxconv, case.op)
    check(case, op)

    def jitted(*arguments, **keywords):
        given = [*arguments, *keywords.values()]

        @jax.jit
        def traced(arrays):
            tracers = iter(arrays)
            values = [next(tracers) if isinstance(v, np.ndarray) else v for v in given]
            named = zip(keywords, values[len(arguments) :], strict=True)
            return op(*values[: len(arguments)], **dict(named))

        return traced([v for v in given if isinstance(v, np.ndarray)])

    check(case, jitted)


@each(case for case in CASES if case.op in ("conv", "conv_transpose"))
def test_the_reference_of_a_convolution_says_the_same(case):
    check(case, getattr(jaxconv.reference, case.op))


@pytest.mark.parametrize("op", CATALOGUE)
def test_what_the_cases_spoil_is_correct(op):
    """Otherwise a case could be refused for another reason than its own."""
    getattr(jaxconv, op)(**correct(op))


@pytest.mark.parametrize("name", ["stride", "dilation", "groups", "padding"])
def test_a_traced_number_is_no_int(name):
    """Shapes depend on it, so it has to be known while tracing."""
    x, w = np.zeros((1, 5, 5, 4)), np.zeros((3, 3, 4, 2))
    with pytest.raises(TypeError) as caught:
        jax.jit(lambda value: jaxconv.conv(x, w, **{name: value}))(1)
    message = rf"conv: {name} must be .*an int.*, but got \S*Tracer\S*"
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
    modules = {getattr(jaxconv, op).__module__ for op in CATALOGUE}
    modules |= {"jaxconv._core.arguments", "jaxconv._core.geometry", "jaxconv._core.conv_call"}
    seen = {raised_at(case) for case in CASES}
    unseen = [
        f"{pathlib.Path(file).name}:{first}"
        for name in sorted(modules)
        for file, first, last in raise_statements(sys.modules[name])
        if not any(where == file and first <= line <= last for where, line in seen)
    ]
    assert not unseen
