"""Records of the activations."""

import numpy as np

from jaxconv.check.catalogue.record import Arrays, Pinned, Record, Sample, type_error, value_error
from jaxconv.check.catalogue.sampling import away_from, normal, positive

# An elementwise op compiles once for each shape and option, so there are few shapes.
SHAPES = ((), (0,), (7,), (2, 3, 5))
SPECIAL = np.array([-np.inf, -1e4, -0.0, 0.0, 1e4, np.inf, np.nan])
INF, NAN = np.inf, np.nan


def _elementwise(seed: int) -> np.ndarray:
    """Return numbers within a few units of 0; the shapes take turns."""
    return 2 * normal(seed, SHAPES[seed % len(SHAPES)])


def _sampled(kinks=(), options=({},)):
    """Return elementwise samples away from the kinks, which may depend on the options."""

    def sample(seed):
        chosen = options[seed // len(SHAPES) % len(options)]
        points = kinks(**chosen) if callable(kinks) else kinks
        return Sample({"x": away_from(points, _elementwise(seed))}, {}, chosen)

    return sample


def _large():
    return Sample({"x": normal(0, (8, 17, 16, 24))})


def _pinned(why, x, y, slope, **options):
    """Pin the values y and the slopes dy/dx at the points x; the test takes dy = 7."""
    x, y, slope = (np.array(values, float) for values in (x, y, slope))
    return Pinned(why, Sample({"x": x}, {}, options), np.full(y.shape, 7.0), y, {"x": 7 * slope})


def _record(name, *pins, kinks=(), options=({},), refusals=tuple):
    """Return the record of an elementwise activation.

    Samples keep away from `kinks`, a list or a function of the options, and draw from `options`;
    `refusals` yields the arguments that raise an error.
    """
    return Record(
        name=name,
        sample=_sampled(kinks, options),
        large=lambda: Sample(_large().arrays, {}, options[0]),
        transformed=(3,),
        pinned=pins,
        refusals=refusals,
    )


# Rectifiers.


def _prelu(seed: int) -> Sample:
    """Return a sample with one α for all, one per channel in either layout, or one per element."""
    shape, alpha = (
        ((), ()),
        ((0, 3), (3,)),
        ((7,), ()),
        ((2, 3, 5), (5,)),
        ((2, 3, 5), (3, 1)),
        ((2, 3, 5), (2, 3, 5)),
        ((), (1,)),
    )[seed % 7]
    x = away_from([0], 2 * normal(seed, shape))
    return Sample({"x": x, "alpha": normal(seed + 100, alpha)})


def _prelu_refusals():
    x = np.zeros((2, 3))
    must = "prelu: alpha must be (), (channels,) or broadcast in another way to x of shape (2, 3)"
    for shape in ((2,), (4,), (3, 1), (1, 2, 3)):
        yield value_error(f"{must}, but its shape is {shape}", x, np.zeros(shape))


RECTIFIERS = (
    Record(
        name="relu",
        sample=_sampled([0]),
        large=_large,
        transformed=(3,),
        pinned=(
            _pinned(
                "the kink, NaN and infinities",
                [0.0, -0.0, NAN, INF, -INF, 1e-300],
                [0.0, 0.0, NAN, INF, 0.0, 1e-300],
                [0.0, 0.0, 0.0, 1.0, 0.0, 1.0],
            ),
        ),
    ),
    _record(
        "relu6",
        _pinned("both kinks", [0.0, -0.0, 6.0, 1e-300], [0.0, 0.0, 6.0, 1e-300], [0, 0, 0, 1]),
        _pinned("far out", SPECIAL, [0, 0, 0, 0, 6, 6, NAN], np.zeros(7)),
        kinks=[0, 6],
    ),
    _record(
        "leaky_relu",
        _pinned(
            "the kink, NaN and infinities",
            SPECIAL,
            [-INF, -2500, 0, 0, 1e4, INF, NAN],
            [0.25, 0.25, 1, 1, 1, 1, 0.25],
            negative_slope=0.25,
        ),
        _pinned(
            "y does not tell the sign of x",
            [-2.0, 0.0, 2.0, NAN],
            [1.0, 0.0, 2.0, NAN],
            [-0.5, 1, 1, -0.5],
            negative_slope=-0.5,
        ),
        _pinned("slope 0", [-2.0, 0.0, 2.0], [0.0, 0.0, 2.0], [0, 1, 1], negative_slope=0.0),
        kinks=[0],
        options=({}, {"negative_slope": 0.3}, {"negative_slope": -0.5}),
    ),
    Record(
        name="prelu",
        sample=_prelu,
        large=lambda: Sample({**_large().arrays, "alpha": positive(1, (24,)) / 4}),
        transformed=(3,),
        pinned=(
            Pinned(
                "the kink, NaN and infinities",
                Sample({"x": SPECIAL, "alpha": np.array(0.25)}),
                np.full(7, 8.0),
                np.array([-INF, -2500, 0, 0, 1e4, INF, NAN]),
                {"x": np.array([2.0, 2, 2, 2, 8, 8, 2]), "alpha": NAN},
            ),
            Pinned(
                "no element",
                Sample({"x": np.zeros((0, 2)), "alpha": np.ones(2)}),
                np.zeros((0, 2)),
                np.zeros((0, 2)),
                {"alpha": np.zeros(2)},
            ),
        ),
        refusals=_prelu_refusals,
    ),
)

# Piecewise linear versions of smooth functions.

HARD = (
    _record(
        "hard_sigmoid",
        _pinned("both kinks", [-3.0, 0.0, 3.0], [0.0, 0.5, 1.0], [0, 1 / 6, 0]),
        _pinned("far out", SPECIAL, [0, 0, 0.5, 0.5, 1, 1, NAN], [0, 0, 1 / 6, 1 / 6, 0, 0, 0]),
        kinks=[-3, 3],
    ),
    _record(
        "hard_silu",
        _pinned("both kinks", [-3.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0, 0.5, 1]),
        _pinned("far out", SPECIAL, [NAN, 0, 0, 0, 1e4, INF, NAN], [0, 0, 0.5, 0.5, 1, 1, NAN]),
        kinks=[-3, 3],
    ),
    _record(
        "hard_tanh",
        _pinned("both kinks", [-1.0, 1.0, 1 + 1e-15], [-1.0, 1.0, 1.0], [1, 1, 0]),
        _pinned("far out", SPECIAL, [-1, -1, 0, 0, 1, 1, NAN], [0, 0, 1, 1, 0, 0, 1]),
        kinks=[-1, 1],
    ),
)


def _softshrink_refusals():
    for value in (-0.5, -1):
        message = f"softshrink: lambd must be at least 0, but got {value}"
        yield value_error(message, np.zeros(3), lambd=value)


def _hardshrink_refusals():
    yield value_error("hardshrink: lambd must be finite, but got nan", np.zeros(3), lambd=NAN)


def _width(lambd=0.5):
    return [-lambd, lambd] if lambd >= 0 else []


WIDTHS: tuple[Arrays, ...] = ({}, {"lambd": 0.25}, {"lambd": 0.0})

SHRINKING = (
    _record(
        "softshrink",
        _pinned("both kinks", [-0.5, 0.0, 0.5, 0.75], [0, 0, 0, 0.25], [0, 0, 0, 1]),
        _pinned("far out", SPECIAL, [-INF, -9999.5, 0, 0, 9999.5, INF, NAN], [1, 1, 0, 0, 1, 1, 1]),
        kinks=_width,
        options=WIDTHS,
        refusals=_softshrink_refusals,
    ),
    _record(
        "hardshrink",
        _pinned("both jumps", [-0.5, 0.0, 0.5, 0.75], [0, 0, 0, 0.75], [0, 0, 0, 1]),
        _pinned("far out", SPECIAL, [-INF, -1e4, 0, 0, 1e4, INF, NAN], [1, 1, 0, 0, 1, 1, 1]),
        kinks=_width,
        options=(*WIDTHS, {"lambd": -0.5}),
        refusals=_hardshrink_refusals,
    ),
    _record(
        "tanhshrink",
        _pinned("far out", SPECIAL, [-INF, -9999, 0, 0, 9999, INF, NAN], [1, 1, 0, 0, 1, 1, NAN]),
    ),
    _record(
        "threshold",
        _pinned("the jump", [1.0, 1.5, NAN], [-2, 1.5, NAN], [0, 1, 1], threshold=1.0, value=-2.0),
        _pinned("above it", [1.0, 9.0], [9.0, 9.0], [0, 1], threshold=1.0, value=9.0),
        _pinned(
            "far out",
            SPECIAL,
            [5, 5, 5, 5, 1e4, INF, NAN],
            [0, 0, 0, 0, 1, 1, 1],
            threshold=0.0,
            value=5.0,
        ),
        kinks=lambda threshold, value: [threshold],
        options=(
            {"threshold": 0.5, "value": 0.5},
            {"threshold": -1.0, "value": 3.0},
            {"threshold": 0.0, "value": -2.0},
        ),
    ),
)

# Smooth rectifiers.


def _alpha_refusals():
    for value in (0, 0.0, -0.0):
        yield value_error(f"celu: alpha must not be 0, but got {value}", np.zeros(3), alpha=value)


def _b_refusals():
    for value in (0, -4.0):
        message = f"squareplus: b must be positive, but got {value}"
        yield value_error(message, np.zeros(3), b=value)


_SELU = 1.0507009873554805

EXPONENTIAL = (
    _record(
        "elu",
        _pinned(
            "the kink and far out",
            SPECIAL,
            [-0.5, -0.5, 0, 0, 1e4, INF, NAN],
            [0, 0, 0.5, 0.5, 1, 1, NAN],
            alpha=0.5,
        ),
        _pinned("alpha 0", [-2.0, 0.0, 2.0], [0.0, 0.0, 2.0], [0, 0, 1], alpha=0.0),
        _pinned(
            "y does not tell the sign of x",
            [-INF, 0.0, 2.0, NAN],
            [0.5, 0.0, 2.0, NAN],
            [0, -0.5, 1, NAN],
            alpha=-0.5,
        ),
        kinks=[0],
        options=({}, {"alpha": 0.3}, {"alpha": -0.5}),
    ),
    _record(
        "celu",
        _pinned(
            "far out",
            SPECIAL,
            [-0.5, -0.5, 0, 0, 1e4, INF, NAN],
            [0, 0, 1, 1, 1, 1, NAN],
            alpha=0.5,
        ),
        kinks=[0],  # the second derivative jumps there
        options=({}, {"alpha": 0.5}, {"alpha": -2.0}),
        refusals=_alpha_refusals,
    ),
    _record(
        "selu",
        _pinned(
            "0 and above",
            [0.0, 1.0, INF, NAN],
            [0.0, _SELU, INF, NAN],
            [1.6732632423543772 * _SELU, _SELU, _SELU, NAN],
        ),
        kinks=[0],
    ),
    _record(
        "softplus",
        _pinned("far out", SPECIAL[[0, 1, 4, 5, 6]], [0, 0, 1e4, INF, NAN], [0, 0, 1, 1, NAN]),
    ),
    _record(
        "squareplus",
        _pinned("far out", SPECIAL[[0, 2, 5, 6]], [NAN, 1, INF, NAN], [0, 0.5, 1, NAN]),
        options=({}, {"b": 0.5}, {"b": 9}),
        refusals=_b_refusals,
    ),
)

# Sigmoids and others that go from one level to another.

SIGMOIDAL = (
    _record(
        "sigmoid",
        _pinned("far out", SPECIAL, [0, 0, 0.5, 0.5, 1, 1, NAN], [0, 0, 0.25, 0.25, 0, 0, NAN]),
    ),
    _record(
        "log_sigmoid",
        _pinned("far out", SPECIAL[[0, 1, 4, 5, 6]], [-INF, -1e4, 0, 0, NAN], [1, 1, 0, 0, NAN]),
    ),
    _record(
        "tanh", _pinned("far out", SPECIAL, [-1, -1, 0, 0, 1, 1, NAN], [0, 0, 1, 1, 0, 0, NAN])
    ),
    _record(
        "soft_sign",
        _pinned(
            "0 and far out", SPECIAL[[0, 2, 3, 5, 6]], [NAN, 0, 0, NAN, NAN], [0, 1, 1, 0, NAN]
        ),
    ),
)

# Products of x and a gate.


def _far_out(slope_at_0):
    dx = [0, 0, slope_at_0, slope_at_0, 1, 1, NAN]
    return _pinned("far out", SPECIAL, [NAN, 0, 0, 0, 1e4, INF, NAN], dx)


def _glu(seed: int) -> Sample:
    shape, axis = (
        ((6,), {}),
        ((2, 4, 3), {"axis": 1}),
        ((4, 3), {"axis": -2}),
        ((0, 4), {}),
    )[seed % 4]
    return Sample({"x": 2 * normal(seed, shape)}, {}, axis)


def _axis_refusals(op):
    x = np.zeros((2, 4))
    for value in (1.0, None, True, "1"):
        yield type_error(f"{op}: axis must be an int, but got {value!r}", x, axis=value)


def _glu_refusals():
    yield from _axis_refusals("glu")
    message = "glu: x must have at least 1 axis, but its shape is ()"
    yield value_error(message, np.zeros(()))
    yield value_error("glu: axis must be at most 1, but got 2", np.zeros((2, 4)), axis=2)
    yield value_error("glu: axis must be at least -2, but got -3", np.zeros((2, 4)), axis=-3)
    yield type_error("glu: axis must be an int, but got (0,)", np.zeros((2, 4)), axis=(0,))
    for shape, axis, resolved in (((3,), -1, 0), ((2, 3, 4), 1, 1), ((2, 3, 4), -2, 1)):
        message = f"glu: x must be of even size along axis {resolved}, its shape is {shape}"
        yield value_error(message, np.zeros(shape), axis)


GATED = (
    _record("silu", _far_out(0.5)),
    _record(
        "gelu",
        _far_out(0.5),
        _pinned("far out, exact", SPECIAL[[0, 1, 2, 4, 5, 6]], [NAN, 0, 0, 1e4, INF, NAN],
               [0, 0, 0.5, 1, 1, NAN], approximate=False),
        options=({}, {"approximate": False}),
    ),
    _record("mish", _pinned("far out", SPECIAL[[0, 1, 4, 5, 6]], [NAN, 0, 1e4, INF, NAN],
                          [0, 0, 1, 1, NAN])),
    Record(
        name="glu",
        sample=_glu,
        large=_large,
        transformed=(0,),
        pinned=(
            Pinned(
                "gates open and shut",
                Sample({"x": np.array([[2.0, INF], [INF, 1e4], [5.0, -1e4], [3.0, NAN]])}),
                np.full((4, 1), 7.0),
                np.array([[2.0], [INF], [0.0], [NAN]]),
                {"x": np.array([[7.0, 0.0], [7.0, NAN], [0.0, 0.0], [NAN, NAN]])},
            ),
        ),
        refusals=_glu_refusals,
    ),
)  # fmt: skip

# Scores to probabilities.


def _scores(seed: int) -> Sample:
    shape, axis = (
        ((7,), {}),
        ((2, 3, 5), {"axis": 1}),
        ((2, 3, 5), {"axis": (0, -1)}),
        ((0, 4), {}),
        ((3, 0), {"axis": (1,)}),
        ((2, 3), {"axis": 0}),
    )[seed % 6]
    return Sample({"x": 3 * normal(seed, shape)}, {}, axis)


def _softmax_refusals(op):
    def refusals():
        yield from _axis_refusals(op)
        x = np.zeros((2, 4))
        must = f"{op}: axis must be one or several different axes of x of shape"
        for axes in (2, -3, (), (1, -1), (0, 2)):
            yield value_error(f"{must} (2, 4), but got {axes!r}", x, axis=axes)
        yield value_error(f"{must} (), but got -1", np.zeros(()))

    return refusals


def _softmax(name, *pins):
    return Record(
        name=name,
        sample=_scores,
        large=lambda: Sample({"x": 3 * normal(0, (8, 17, 16, 24))}),
        transformed=(0,),
        pinned=tuple(
            Pinned(why, Sample({"x": np.array(x)}), np.array(dy), np.array(y), {"x": np.array(dx)})
            for why, x, dy, y, dx in pins
        ),
        refusals=_softmax_refusals(name),
    )  # fmt: skip


_NANS, _DY = [NAN] * 3, [6.0, 2.0, 4.0]

SCORES = (
    _softmax(
        "softmax",
        ("masked", [5.0, -INF, 5.0], _DY, [0.5, 0, 0.5], [0.5, 0, -0.5]),
        ("large", [1e4, -1e4, 1e4], _DY, [0.5, 0, 0.5], [0.5, 0, -0.5]),
        ("one left", [-INF, -INF, 3.0], _DY, [0, 0, 1.0], [0.0, 0, 0]),
        ("all masked", [-INF] * 3, _DY, _NANS, _NANS),
        ("infinite", [INF, 0.0, 1.0], _DY, _NANS, _NANS),
        ("NaN", [NAN, 0.0, 1.0], _DY, _NANS, _NANS),
    ),
    _softmax(
        "log_softmax",
        ("one left", [-INF, -INF, 3.0], [0.0, 0, 4], [-INF, -INF, 0], [0.0, 0, 0]),
        ("a mask is asked", [-INF, -INF, 3.0], _DY, [-INF, -INF, 0], [6.0, 2.0, -8.0]),
        ("large", [1e4, 0.0, -1e4], _DY, [0, -1e4, -2e4], [-6.0, 2.0, 4.0]),
        ("all masked", [-INF] * 3, _DY, _NANS, _NANS),
        ("NaN", [NAN, 0.0, 1.0], _DY, _NANS, _NANS),
    ),
)

RECORDS = (*RECTIFIERS, *HARD, *SHRINKING, *EXPONENTIAL, *SIGMOIDAL, *GATED, *SCORES)
