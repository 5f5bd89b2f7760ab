"""Records of the convolutions."""

from collections.abc import Iterator

import numpy as np

from jaxconv.check.catalogue.geometries import (
    ConvCase,
    conv_case,
    general_case,
    transposed_case,
)
from jaxconv.check.catalogue.large import LARGE
from jaxconv.check.catalogue.record import Record, Refusal, Sample, type_error, value_error
from jaxconv.check.catalogue.sampling import normal
from jaxconv.check.catalogue.ways import conv_sample, conv_transpose_sample, general_sample

LAYOUTS = ("channels_last", "channels_first")
GENERAL_WAYS = tuple((flax, transposed) for transposed in (False, True) for flax in (True, False))


def _conv(seed: int) -> Sample:
    if seed < LARGE:
        return _call(conv_case(seed), seed)
    number, way = divmod(seed - LARGE, len(LAYOUTS))
    return conv_sample(number, LAYOUTS[way])


def _transposed(seed: int) -> Sample:
    if seed < LARGE:
        return _call(transposed_case(seed), seed)
    number, way = divmod(seed - LARGE, len(LAYOUTS))
    return conv_transpose_sample(number, LAYOUTS[way])


def _call(case: ConvCase, seed: int) -> Sample:
    arrays = {"x": normal(seed, case.x), "w": normal(seed + 1, case.w)}
    if case.b is not None:
        arrays["b"] = normal(seed + 2, case.b)
    options = {**case.keywords, "precision": "highest"} if seed % 5 == 3 else case.keywords
    return Sample(arrays, options=options)


def _general(seed: int) -> Sample:
    if seed >= LARGE:
        number, way = divmod(seed - LARGE, len(GENERAL_WAYS))
        flax, transposed = GENERAL_WAYS[way]
        return general_sample(number, flax=flax, transposed=transposed)
    lhs, rhs, arguments = general_case(seed)
    if seed % 5 == 3:
        arguments |= {"precision": "highest", "preferred_element_type": "float64"}
    return Sample({"lhs": normal(seed, lhs), "rhs": normal(seed + 1, rhs)}, options=arguments)


def _large_general() -> Sample:
    arrays = {"lhs": normal(0, (8, 17, 16, 24)), "rhs": normal(1, (3, 3, 24, 16))}
    numbers = ("NHWC", "HWIO", "NHWC")
    options = {"window_strides": (2, 1), "padding": "SAME", "dimension_numbers": numbers}
    return Sample(arrays, options=options)


def _large_conv() -> Sample:
    arrays = {
        "x": normal(0, (8, 17, 16, 24)),
        "w": normal(1, (5, 3, 6, 32)),
        "b": normal(2, (32,)),
    }
    return Sample(arrays, options={"stride": 2, "groups": 4, "dilation": (1, 2)})


def _large_transposed() -> Sample:
    arrays = {
        "x": normal(0, (8, 17, 16, 16)),
        "w": normal(1, (3, 3, 32, 16)),
        "b": normal(2, (32,)),
    }
    return Sample(arrays, options={"stride": 2})


X, W, B = np.zeros((1, 5, 5, 4)), np.zeros((3, 3, 4, 2)), np.zeros(2)


def _kernel_forms(op, inner, outer):
    """Yield kernels whose number of dimensions does not match x."""
    for layout, form in (
        ("channels_last", f"(*window, {inner}, {outer})"),
        ("channels_first", f"({outer}, {inner}, *window)"),
    ):
        for shape in ((3, 4, 2), (3, 3, 3, 4, 2)):
            must = f"w must have 4 dimensions {form} to match x of shape (1, 5, 5, 4)"
            message = f"{op}: {must}, but its shape is {shape}"
            yield value_error(message, X, np.zeros(shape), layout=layout)


def _conv_refusals() -> Iterator[Refusal]:
    yield from _kernel_forms("conv", "C_in/groups", "C_out")
    message = "conv: x has 4 channels, but w expects 3 (groups=1)"
    yield value_error(message, X, np.zeros((3, 3, 3, 2)))
    message = "conv: x has 5 channels, but w expects 4 (groups=1); if the channels of x come first,"
    message += " say layout='channels_first'"
    yield value_error(message, X.transpose(0, 3, 1, 2), np.zeros((3, 3, 4, 2)))
    message = "conv: x has 5 channels, but w expects 4 (groups=1)"
    yield value_error(message, X, np.zeros((2, 4, 3, 3)), layout="channels_first")
    message = "conv: x has 4 channels, but w expects 8 (groups=2)"
    yield value_error(message, X, W, groups=2)
    message = "conv: w must have at least 1 output channel, but its shape is (3, 3, 4, 0)"
    yield value_error(message, X, np.zeros((3, 3, 4, 0)))
    message = "conv: w has 3 output channels, which is not a multiple of groups=2"
    yield value_error(message, X, np.zeros((3, 3, 2, 3)), groups=2)
    for shape in ((1,), (3,), (2, 1), ()):
        message = f"conv: b must have shape (2,), but its shape is {shape}"
        yield value_error(message, X, W, np.zeros(shape))
    message = "conv: w has an empty window, its shape is (0, 3, 4, 2)"
    yield value_error(message, X, np.zeros((0, 3, 4, 2)))
    none = np.zeros((1, 0, 5, 4))
    for mode in ("reflect", "replicate", "circular"):
        message = f"conv: padding_mode '{mode}' needs at least 1 position in each spatial dimension"
        message += ", but x has shape (1, 0, 5, 4)"
        yield value_error(message, none, W, padding=2, padding_mode=mode)
    for message, x, keywords in (
        ("3 positions of spatial dimension 1 (window 3, dilation 1), but x has 2 + 0",
         np.zeros((1, 5, 2, 4)), {"padding": "VALID"}),
        ("3 positions of spatial dimension 0 (window 3, dilation 1), but x has 0 + 2", none, {}),
        ("9 positions of spatial dimension 0 (window 3, dilation 4), but x has 5 + 3",
         X, {"padding": ((2, 1), 2), "dilation": 4}),
    ):  # fmt: skip
        yield value_error(f"conv: the window spans {message} of padding", x, W, **keywords)


def _general_refusals() -> Iterator[Refusal]:
    op, x, w = "conv_general_dilated", np.zeros((2, 4, 5, 5)), np.zeros((6, 4, 3, 3))
    must = f"{op}: lhs and rhs must have the same number of dimensions, at least 2"
    for shape in ((4,), (4, 5, 5), (2, 4, 5, 5, 5)):
        message = f"{must}, but their shapes are {shape} and (6, 4, 3, 3)"
        yield value_error(message, np.zeros(shape), w, (1, 1), "SAME")
    must = (
        f"{op}: dimension_numbers must be None, a ConvDimensionNumbers or three strings like"
        " ('NHWC', 'HWIO', 'NHWC') with a letter for each of 4 axes"
    )
    for numbers in ("NHWC", ("NHWC", "HWIO"), ("NHC", "HWIO", "NHWC"), 3):
        message = f"{must}, but got {numbers!r}"
        yield value_error(message, x, w, (1, 1), "SAME", dimension_numbers=numbers)
    wider = f"{op}: preferred_element_type must be float64 or a wider float"
    for dtype in ("float32", "int32", "complex64"):
        message = f"{wider}, but got {dtype}"
        yield type_error(message, x, w, (1, 1), "SAME", preferred_element_type=dtype)
    message = f"{op}: lhs has 4 channels, but rhs expects 8 (feature_group_count=2)"
    yield value_error(message, x, w, (1, 1), "SAME", feature_group_count=2)
    message = f"{op}: feature_group_count or batch_group_count must be 1, but got 2 and 2"
    yield value_error(message, x, w, (1, 1), "SAME", feature_group_count=2, batch_group_count=2)
    message = f"{op}: rhs has an empty window, its shape is (6, 4, 0, 3)"
    yield value_error(message, x, w[:, :, :0], (1, 1), "SAME")
    message = f"{op}: 6 channels of rhs cannot be shared by 4 groups"
    yield value_error(message, x, w, (1, 1), "SAME", batch_group_count=4)
    message = f"{op}: 2 examples of lhs cannot be shared by 3 groups"
    yield value_error(message, x, w, (1, 1), "SAME", batch_group_count=3)
    message = f"{op}: padding must be (low, high) pairs where lhs_dilation is not 1, but got 'SAME'"
    yield value_error(message, x, w, (1, 1), "SAME", (2, 1))
    must = f"{op}: padding must be a name or 2 (low, high) pairs, one per spatial dimension"
    for padding in (1, ((1, 1),), None):
        yield value_error(f"{must}, but got {padding!r}", x, w, (1, 1), padding)
    for pair in (1, (1,)):
        message = f"{op}: padding[1] must be a (low, high) pair, but got {pair!r}"
        yield value_error(message, x, w, (1, 1), ((1, 1), pair))
    message = f"{op}: padding[0] cuts 6 positions, but lhs has 5 of them"
    yield value_error(message, x, w, (1, 1), ((-3, -3), (0, 0)))
    for name in ("window_strides", "rhs_dilation", "lhs_dilation"):
        rest = {"window_strides": (1, 1), "padding": "VALID"}
        must = f"{op}: {name} must be an int or 2 ints, one per spatial dimension"
        yield value_error(f"{must}, but got (1,)", x, w, **{**rest, name: (1,)})
        message = f"{op}: {name}[0] must be at least 1, but got 0"
        yield value_error(message, x, w, **{**rest, name: (0, 1)})


def _transposed_refusals() -> Iterator[Refusal]:
    op, w = "conv_transpose", np.zeros((3, 3, 2, 4))
    yield from _kernel_forms(op, "C_out/groups", "C_in")
    yield value_error(f"{op}: x has 4 channels, but w expects 3", X, np.zeros((3, 3, 2, 3)))
    message = f"{op}: x has 5 channels, but w expects 4; if the channels of x come first, say"
    message += " layout='channels_first'"
    yield value_error(message, X.transpose(0, 3, 1, 2), np.zeros((3, 3, 2, 4)))
    message = f"{op}: x has 5 channels, but w expects 3"
    yield value_error(message, X, np.zeros((3, 2, 3, 3)), layout="channels_first")
    message = f"{op}: w must have at least 1 output channel, but its shape is (3, 3, 0, 4)"
    yield value_error(message, X, np.zeros((3, 3, 0, 4)))
    message = f"{op}: x has 4 channels, which is not a multiple of groups=3"
    yield value_error(message, X, w, groups=3)
    yield value_error(f"{op}: b must have shape (4,), but its shape is (2,)", X, w, B, groups=2)
    message = f"{op}: w has an empty window, its shape is (3, 0, 2, 4)"
    yield value_error(message, X, np.zeros((3, 0, 2, 4)))
    less = f"{op}: output_padding must be less than stride or dilation"
    for value, extra, stride, dilation, axis in (
        (1, 1, 1, 1, 0),
        ((0, 2), 2, 2, 1, 1),
        (3, 3, 1, 3, 0),
    ):
        message = (
            f"{less}, but got {extra} with stride {stride} and dilation {dilation}"
            f" in spatial dimension {axis}"
        )
        yield value_error(message, X, w, output_padding=value, stride=stride, dilation=dilation)
    message = f"{op}: output_padding must be at least 0, but got -1"
    yield value_error(message, X, w, output_padding=-1)
    message = f"{op}: output_padding must be 0 with padding 'SAME', but got (1, 1)"
    yield value_error(message, X, w, output_padding=1, stride=2)
    nothing = f"{op}: nothing is left of spatial dimension"
    message = f"{nothing} 0: 5 windows that span 3 positions reach 7, padding cuts 8"
    yield value_error(message, X, w, padding=4)
    message = f"{nothing} 1: 0 windows that span 3 positions reach 2, padding cuts 0"
    yield value_error(message, np.zeros((1, 5, 0, 4)), w, padding="VALID")


RECORDS = (
    Record(
        name="conv",
        sample=_conv,
        ways=len(LAYOUTS),
        large=_large_conv,
        transformed=(0, 4, 5, 7),  # 1-D to 3-D, both layouts, padding modes that copy
        refusals=_conv_refusals,
    ),
    Record(
        name="conv_general_dilated",
        sample=_general,
        ways=len(GENERAL_WAYS),
        large=_large_general,
        transformed=(1, 2, 4),  # with and without input dilation, both groups, orders of axes
        refusals=_general_refusals,
        by_example=("lhs",),
    ),
    Record(
        name="conv_transpose",
        sample=_transposed,
        ways=len(LAYOUTS),
        large=_large_transposed,
        transformed=(2, 3),
        refusals=_transposed_refusals,
    ),
)
