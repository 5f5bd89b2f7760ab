"""Records of the pooling ops."""

from functools import partial

import jax
import numpy as np

from jaxconv.check.catalogue.geometries import pool_case
from jaxconv.check.catalogue.record import Pinned, Record, Sample, type_error, value_error
from jaxconv.check.catalogue.sampling import (
    away_from,
    distinct,
    layout_of,
    normal,
    positive,
    shape_of,
    tied,
)

TIES = ("first", "all", "split")
SIZES = ((11,), (5, 7), (3, 2, 5))
"""One size for each number of spatial dimensions."""


def _extreme_pool(seed: int) -> Sample:
    case = pool_case(seed, largest=True)
    smooth = seed % 2 == 0
    x = distinct(seed, case.x) if smooth else tied(seed, case.x)
    # Dimensions and `ties` meet in all 9 pairs, in 9 seeds; every second has ties in its data.
    options = {"window": case.window, **case.keywords, "ties": TIES[seed // 3 % 3]}
    return Sample({"x": x}, options=options, smooth=smooth)


def _avg_pool(seed: int) -> Sample:
    case = pool_case(seed, largest=False)
    options = {"window": case.window, **case.keywords}
    return Sample({"x": normal(seed, case.x)}, options=options)


def _max_pool_with_indices(seed: int) -> Sample:
    sample = _extreme_pool(seed)
    options = {name: value for name, value in sample.options.items() if name != "ties"}
    return Sample(sample.arrays, options=options, smooth=sample.smooth)


def _max_unpool(seed: int) -> Sample:
    """Return random indices: some occur twice; in every third sample some are out of range."""
    layout, size = layout_of(seed), SIZES[seed % 3]
    output = tuple(2 * n - 1 for n in size)
    shape = shape_of(seed, layout, size, 2 + seed % 2)
    border = (0, 0, 3)[seed % 3]
    rng = np.random.default_rng((5, seed))
    indices = rng.integers(-border, np.prod(output) + border, shape)
    options = {"output_size": output, "layout": layout}
    return Sample({"y": normal(seed, shape)}, {"indices": indices}, options)


def _lp_pool(seed: int) -> Sample:
    case = pool_case(seed, largest=False)
    options = {"window": case.window, "p": (2, 1, 3.5, 3, 0.5)[seed // 3 % 5], **case.keywords}
    del options["count_include_pad"], options["divisor"]
    return Sample({"x": away_from([0], normal(seed, case.x), margin=0.25)}, options=options)


def _subsample(seed: int) -> Sample:
    layout, size = layout_of(seed), SIZES[seed % 3]
    channels = 2 + seed % 2
    arrays = {
        "x": normal(seed, shape_of(seed, layout, size, channels)),
        "weight": positive(seed + 1, (channels,)),
        "bias": normal(seed + 2, (channels,)),
    }
    window = ((3,), (2, 3), (3, 1, 2))[seed % 3]
    return Sample(arrays, options={"window": window, "layout": layout})


def _global_pool(seed: int, *, largest: bool) -> Sample:
    layout, size = layout_of(seed), SIZES[seed % 3]
    shape = shape_of(seed, layout, size, 2 + seed % 2)
    smooth = not largest or seed % 4 < 2
    x = (distinct(seed, shape) if smooth else tied(seed, shape)) if largest else normal(seed, shape)
    options = {"keepdims": seed % 2 == 0, "layout": layout}
    return Sample({"x": x}, options=options, smooth=smooth)


OUTPUTS = (
    ((3,), (11,), (1,), (13,)),  # for inputs of 11
    ((2, 3), (5, 1), (6, 4), (3, 10)),  # for inputs of 5 × 7
    ((2, 1, 2), (3, 2, 1), (1, 3, 4), (2, 2, 3)),  # for inputs of 3 × 2 × 5
)


def _adaptive_pool(seed: int, *, largest: bool) -> Sample:
    layout, size = layout_of(seed), SIZES[seed % 3]
    shape = shape_of(seed, layout, size, 2 + seed % 2)
    smooth = not largest or seed % 4 < 2
    x = (distinct(seed, shape) if smooth else tied(seed, shape)) if largest else normal(seed, shape)
    options = {"output_size": OUTPUTS[seed % 3][seed // 6 % 4], "layout": layout}
    return Sample({"x": x}, options=options, smooth=smooth)


def _large(seed: int, **options: object) -> Sample:
    return Sample({"x": normal(seed, (8, 17, 16, 24))}, options=options)


def _large_subsample() -> Sample:
    x = _large(0).arrays["x"]
    arrays = {"x": x, "weight": positive(1, (24,)), "bias": normal(2, (24,))}
    return Sample(arrays, options={"window": 2})


def _large_unpool() -> Sample:
    shape = (8, 9, 8, 24)
    indices = np.random.default_rng(1).integers(0, 17 * 16, shape)
    return Sample({"y": normal(0, shape)}, {"indices": indices}, {"output_size": (17, 16)})


def _row(*values: float) -> np.ndarray:
    """Return one example of one channel."""
    return np.array(values)[None, :, None]


def _pinned_ties():
    """Yield ties in one window over all of x, for dy = 6."""
    for x, *shares in (
        ([1.0, 3.0, 3.0, 2.0], [0, 6, 0, 0], [0, 6, 6, 0], [0, 3, 3, 0]),
        ([-np.inf, -np.inf], [6, 0], [6, 6], [3, 3]),
        ([np.inf, 0.0, np.inf], [6, 0, 0], [6, 0, 6], [3, 0, 3]),
        ([1.0, np.nan, 5.0, np.nan], [0, 6, 0, 0], [0, 6, 0, 6], [0, 3, 0, 3]),
        ([0.0, -0.0], [6, 0], [6, 6], [3, 3]),
    ):
        for ties, share in zip(TIES, shares, strict=True):
            options = {"window": len(x), "ties": ties}
            largest = np.nan if np.isnan(x).any() else max(x)
            yield Pinned(
                f"{x}, ties={ties!r}",
                Sample({"x": _row(*x)}, options=options),
                dy=_row(6.0),
                y=_row(largest),
                gradients={"x": _row(*map(float, share))},
            )


def _mirrored(pins):
    """Yield the points for the minimum: x and y change their sign, the gradient does not."""
    for pin in pins:
        sample = Sample({"x": -pin.sample.arrays["x"]}, options=pin.sample.options)
        yield Pinned(pin.why, sample, pin.dy, -pin.y, pin.gradients)


def _pinned_indices():
    for x, p in (
        ([1.0, 3.0, 3.0, 2.0], 1),
        ([-np.inf, -np.inf], 0),
        ([1.0, np.nan, 5.0, np.nan], 1),
    ):
        yield Pinned(
            f"{x}",
            Sample({"x": _row(*x)}, options={"window": len(x)}),
            dy=(_row(6.0), np.zeros((1, 1, 1), jax.dtypes.float0)),
            y=(_row(x[p]), np.full((1, 1, 1), p)),
            gradients={"x": _row(*(6.0 * (i == p) for i in range(len(x))))},
        )
    yield Pinned(
        "a window that steps over x sees padding alone",
        Sample(
            {"x": _row(1.0)},
            options={"window": 2, "stride": 1, "dilation": 3, "padding": "SAME"},
        ),
        dy=(_row(6.0), np.zeros((1, 1, 1), jax.dtypes.float0)),
        y=(_row(-np.inf), np.full((1, 1, 1), -1)),
        gradients={"x": _row(0.0)},
    )
    yield Pinned(
        "−∞ beside padding: the first position inside",
        Sample(
            {"x": _row(-np.inf, -np.inf)},
            options={"window": 3, "padding": ((1, 0),)},
        ),
        dy=(_row(6.0), np.zeros((1, 1, 1), jax.dtypes.float0)),
        y=(_row(-np.inf), np.full((1, 1, 1), 0)),
        gradients={"x": _row(6.0, 0.0)},
    )


def _pinned_unpool():
    indices = np.array([2, 2, -1, 4, 0])[None, :, None]
    yield Pinned(
        "an index that occurs twice, and two that are out of range",
        Sample({"y": _row(1.0, 2.0, 3.0, 4.0, 5.0)}, {"indices": indices}, {"output_size": 4}),
        dy=_row(10.0, 20.0, 30.0, 40.0),
        y=_row(5.0, 0.0, 3.0, 0.0),
        gradients={"y": _row(30.0, 30.0, 0.0, 0.0, 10.0)},
    )


def _pinned_norms():
    for p in (0.5, 1, 2, 3, 3.5):
        yield Pinned(
            f"a window of zeros, p={p}",
            Sample({"x": _row(0.0, 0.0)}, options={"window": 2, "p": p}),
            dy=_row(6.0),
            y=_row(0.0),
            gradients={"x": _row(0.0, 0.0)},
        )
        yield Pinned(
            f"a zero beside others, p={p}",
            Sample({"x": _row(0.0, -1.0)}, options={"window": 2, "p": p}),
            dy=_row(6.0),
            y=_row(1.0),
            gradients={"x": _row(0.0, -6.0)},
        )


def _pinned_first(**options):
    """Yield the points with ties="first", for ops that reduce all of x to (1, 1, 1)."""
    for pin in _pinned_ties():
        if pin.sample.options["ties"] == "first":
            yield Pinned(
                pin.why, Sample(pin.sample.arrays, options=options), pin.dy, pin.y, pin.gradients
            )


def _pinned_overlap():
    yield Pinned(
        "two windows that share the largest value",
        Sample({"x": _row(1.0, 3.0, 3.0)}, options={"output_size": 2}),
        dy=_row(6.0, 60.0),
        y=_row(3.0, 3.0),
        gradients={"x": _row(0.0, 66.0, 0.0)},
    )


def _too_much_padding(op):
    x = np.zeros((1, 5, 5, 4))
    may = f"{op}: padding may not exceed half the window, which spans"
    of = "positions of spatial dimension"
    yield value_error(f"{may} 1 {of} 0, but got (1, 1)", x, 1, padding=1)
    yield value_error(f"{may} 2 {of} 0, but got (2, 2)", x, 2, padding=2)
    yield value_error(f"{may} 3 {of} 0, but got (2, 0)", x, 3, padding=((2, 0), (0, 0)))
    yield value_error(f"{may} 3 {of} 1, but got (0, 2)", x, 3, padding=((1, 1), (0, 2)))
    row = np.zeros((1, 5, 4))
    yield value_error(f"{may} 3 {of} 0, but got (2, 0)", row, 3, stride=1, padding="CAUSAL")


def _divisors():
    x = np.zeros((1, 5, 5, 4))
    for value in (0, 0.0, -0.0):
        yield value_error("avg_pool: divisor must not be 0", x, 2, divisor=value)
    must = "avg_pool: divisor must be from 1.18e-38 to 8.51e+37 in size to divide float32"
    for dtype in ("float32", "float16"):
        for value in (1e-50, -1e-39, 1e38):
            yield value_error(f"{must}, but got {value}", x.astype(dtype), 2, divisor=value)


def _powers():
    x = np.zeros((1, 5, 5, 4))
    for value in (0, -1.0):
        yield value_error(f"lp_pool: p must be more than 0, but got {float(value)}", x, 2, value)
    for value in (np.inf, np.nan):
        yield value_error(f"lp_pool: p must be finite, but got {value}", x, 2, value)
    for value in (None, "2", True):
        yield type_error(f"lp_pool: p must be a number, but got {value!r}", x, 2, value)


def _per_channel():
    x, c = np.zeros((1, 5, 5, 4)), np.zeros(4)
    must = "must have shape (4,), one number per channel of x"
    for shape in ((), (1,), (5,), (1, 4)):
        but = f"but its shape is {shape}"
        yield value_error(f"subsample: weight {must}, {but}", x, np.zeros(shape), c, 2)
        yield value_error(f"subsample: bias {must}, {but}", x, c, np.zeros(shape), 2)


def _no_positions(op, *arguments):
    message = f"{op}: x must have at least 1 position in each spatial dimension"
    message += ", but its shape is (1, 5, 0, 4)"
    yield value_error(message, np.zeros((1, 5, 0, 4)), *arguments)


def _output_sizes(op):
    x = np.zeros((1, 5, 5, 4))
    yield from _no_positions(op, 2)
    yield value_error(f"{op}: output_size must be at least 1, but got 0", x, 0)
    yield type_error(f"{op}: output_size must be an int, but got 2.0", x, 2.0)
    must = f"{op}: output_size must be an int or 2 ints, one per spatial dimension"
    yield value_error(f"{must}, but got (2,)", x, (2,))


def _unpool_refusals():
    op, y = "max_unpool", np.zeros((1, 5, 4))
    for dtype in ("float64", "bool"):
        message = f"{op}: indices must be integers, but their dtype is {dtype}"
        yield type_error(message, y, np.zeros((1, 5, 4), dtype), 9)
    for shape in ((5, 4), (1, 4, 4), (2, 5, 4)):
        message = f"{op}: indices must have the shape of y, (1, 5, 4), but theirs is {shape}"
        yield value_error(message, y, np.zeros(shape, int), 9)
    indices = np.zeros((1, 5, 4), int)
    yield value_error(f"{op}: output_size must be at least 1, but got 0", y, indices, 0)
    form = "(N, *spatial, C) with 1, 2 or 3 spatial dimensions"
    message = f"{op}: y must be {form}, but its shape is (5, 4)"
    yield value_error(message, y[0], indices[0], 9)


_LARGE = {"window": 3, "stride": 2, "padding": 1}

RECORDS = (
    Record(
        name="max_pool",
        sample=_extreme_pool,
        large=lambda: _large(0, **_LARGE),
        transformed=(2, 3, 7),  # ties="first", "all" and "split"
        pinned=tuple(_pinned_ties()),
        refusals=lambda: _too_much_padding("max_pool"),
    ),
    Record(
        name="min_pool",
        sample=_extreme_pool,
        large=lambda: _large(0, **_LARGE),
        transformed=(3,),
        pinned=tuple(_mirrored(_pinned_ties())),
        refusals=lambda: _too_much_padding("min_pool"),
    ),
    Record(
        name="max_pool_with_indices",
        sample=_max_pool_with_indices,
        large=lambda: _large(0, **_LARGE),
        transformed=(2,),
        pinned=tuple(_pinned_indices()),
        refusals=lambda: _too_much_padding("max_pool_with_indices"),
    ),
    Record(
        name="max_unpool",
        sample=_max_unpool,
        large=_large_unpool,
        transformed=(1,),
        pinned=tuple(_pinned_unpool()),
        refusals=_unpool_refusals,
        by_example=("y", "indices"),
    ),
    Record(
        name="avg_pool",
        sample=_avg_pool,
        large=lambda: _large(0, **_LARGE, count_include_pad=False),
        transformed=(1,),
        refusals=_divisors,
    ),
    Record(
        name="lp_pool",
        sample=_lp_pool,
        large=lambda: _large(0, **_LARGE, p=2),
        transformed=(1,),
        pinned=tuple(_pinned_norms()),
        refusals=_powers,
    ),
    Record(
        name="subsample",
        sample=_subsample,
        large=_large_subsample,
        transformed=(1,),
        refusals=_per_channel,
    ),
    Record(
        name="global_avg_pool",
        sample=partial(_global_pool, largest=False),
        large=lambda: _large(0),
        transformed=(1,),
        refusals=lambda: _no_positions("global_avg_pool"),
    ),
    Record(
        name="global_max_pool",
        sample=partial(_global_pool, largest=True),
        large=lambda: _large(0),
        transformed=(1,),
        pinned=tuple(_pinned_first(keepdims=True)),
        refusals=lambda: _no_positions("global_max_pool"),
    ),
    Record(
        name="adaptive_avg_pool",
        sample=partial(_adaptive_pool, largest=False),
        large=lambda: _large(0, output_size=(5, 8)),
        transformed=(1,),
        refusals=lambda: _output_sizes("adaptive_avg_pool"),
    ),
    Record(
        name="adaptive_max_pool",
        sample=partial(_adaptive_pool, largest=True),
        large=lambda: _large(0, output_size=(5, 8)),
        transformed=(1,),
        pinned=(*_pinned_first(output_size=1), *_pinned_overlap()),
        refusals=lambda: _output_sizes("adaptive_max_pool"),
    ),
)
