"""Records of the convolutions."""

from collections.abc import Iterator

import numpy as np

from jaxconv.check.catalogue.geometries import ConvCase, conv_case, transposed_case
from jaxconv.check.catalogue.record import Record, Refusal, Sample, value_error
from jaxconv.check.catalogue.sampling import normal


def _call(case: ConvCase, seed: int) -> Sample:
    arrays = {"x": normal(seed, case.x), "w": normal(seed + 1, case.w)}
    if case.b is not None:
        arrays["b"] = normal(seed + 2, case.b)
    options = {**case.keywords, "precision": "highest"} if seed % 5 == 3 else case.keywords
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
    """The kernel has as many dimensions as x."""
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
    message = "conv: x has 5 channels, but w expects 4 (groups=1)"
    yield value_error(message, X, np.zeros((2, 4, 3, 3)), layout="channels_first")
    message = "conv: x has 4 channels, but w expects 8 (groups=2)"
    yield value_error(message, X, W, groups=2)
    message = "conv: w makes no channels, its shape is (3, 3, 4, 0)"
    yield value_error(message, X, np.zeros((3, 3, 4, 0)))
    message = "conv: w makes 3 channels, which 2 groups cannot share"
    yield value_error(message, X, np.zeros((3, 3, 2, 3)), groups=2)
    for shape in ((1,), (3,), (2, 1), ()):
        message = f"conv: b must have shape (2,), but its shape is {shape}"
        yield value_error(message, X, W, np.zeros(shape))
    message = "conv: w has an empty window, its shape is (0, 3, 4, 2)"
    yield value_error(message, X, np.zeros((0, 3, 4, 2)))
    none = np.zeros((1, 0, 5, 4))
    for mode in ("reflect", "replicate", "circular"):
        nothing = f"padding_mode '{mode}' has nothing to pad with, x has shape (1, 0, 5, 4)"
        yield value_error(f"conv: {nothing}", none, W, padding=2, padding_mode=mode)
    for message, x, keywords in (
        ("3 positions of spatial dimension 1 (window 3, dilation 1), but x has 2 + 0",
         np.zeros((1, 5, 2, 4)), {"padding": "VALID"}),
        ("3 positions of spatial dimension 0 (window 3, dilation 1), but x has 0 + 2", none, {}),
        ("9 positions of spatial dimension 0 (window 3, dilation 4), but x has 5 + 3",
         X, {"padding": ((2, 1), 2), "dilation": 4}),
    ):  # fmt: skip
        yield value_error(f"conv: the window spans {message} of padding", x, W, **keywords)


def _transposed_refusals() -> Iterator[Refusal]:
    op, w = "conv_transpose", np.zeros((3, 3, 2, 4))
    yield from _kernel_forms(op, "C_out/groups", "C_in")
    yield value_error(f"{op}: x has 4 channels, but w expects 3", X, np.zeros((3, 3, 2, 3)))
    message = f"{op}: x has 5 channels, but w expects 3"
    yield value_error(message, X, np.zeros((3, 2, 3, 3)), layout="channels_first")
    message = f"{op}: w makes no channels, its shape is (3, 3, 0, 4)"
    yield value_error(message, X, np.zeros((3, 3, 0, 4)))
    yield value_error(f"{op}: x has 4 channels, which 3 groups cannot share", X, w, groups=3)
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
            f"{less}, but {extra} came with stride {stride} and dilation {dilation}"
            f" in spatial dimension {axis}"
        )
        yield value_error(message, X, w, output_padding=value, stride=stride, dilation=dilation)
    message = f"{op}: output_padding must be at least 0, but -1 came"
    yield value_error(message, X, w, output_padding=-1)
    message = f"{op}: output_padding must be 0 with padding 'SAME', but (1, 1) came"
    yield value_error(message, X, w, output_padding=1, stride=2)
    nothing = f"{op}: nothing is left of spatial dimension"
    message = f"{nothing} 0: 5 windows that span 3 positions reach 7, padding cuts 8"
    yield value_error(message, X, w, padding=4)
    message = f"{nothing} 1: 0 windows that span 3 positions reach 2, padding cuts 0"
    yield value_error(message, np.zeros((1, 5, 0, 4)), w, padding="VALID")


RECORDS = (
    Record(
        name="conv",
        sample=lambda seed: _call(conv_case(seed), seed),
        large=_large_conv,
        transformed=(0, 4, 5, 7),  # 1-D to 3-D, both layouts, borders that copy
        refusals=_conv_refusals,
    ),
    Record(
        name="conv_transpose",
        sample=lambda seed: _call(transposed_case(seed), seed),
        large=_large_transposed,
        transformed=(2, 3),
        refusals=_transposed_refusals,
    ),
)
