"""Records of the normalizations."""

import numpy as np

from jaxconv.check.catalogue.record import Pinned, Record, Sample, type_error, value_error
from jaxconv.check.catalogue.sampling import normal, positive

SIZES = ((7,), (3, 5), (2, 3, 5), (3, 5), ())
LAYOUTS = ("channels_last", "channels_first")
EPS = (1e-5, 0.3, 1e-5, 0.3, 0.3)  # small groups, the last, are too curved with a small eps


def _images(seed: int, n: int, channels: int, sizes=SIZES) -> tuple[np.ndarray, str]:
    """Return x with a mean other than 0, and its layout; one batch in ten is empty."""
    size, layout = sizes[seed % 5], LAYOUTS[seed // 5 % 2]
    n = 0 if seed % 10 == 8 else n
    shape = (n, *size, channels) if layout == "channels_last" else (n, channels, *size)
    return 0.5 + normal(seed, shape), layout


def _batch(seed: int) -> Sample:
    x, layout = _images(seed, 4, 6)
    arrays = {"x": x, "scale": normal(seed + 1, (6,)), "bias": normal(seed + 2, (6,))}
    options = {"eps": EPS[seed % 5], "layout": layout}
    if seed % 5 == 3:
        options["axis_name"] = ()  # no axes; the tests of the op itself use real ones
    return Sample(arrays, options=options)


def _inference(seed: int) -> Sample:
    x, layout = _images(seed, 2, 6)
    arrays = {"x": x} | {
        name: normal(seed + i, (6,)) for i, name in enumerate(("scale", "bias", "mean"), 1)
    }
    arrays["var"] = positive(seed + 4, (6,))
    return Sample(arrays, options={"eps": EPS[seed % 5], "layout": layout})


def _group(seed: int) -> Sample:
    x, layout = _images(seed, 2, 6)
    arrays = {"x": x, "scale": normal(seed + 1, (6,)), "bias": normal(seed + 2, (6,))}
    groups = (2, 3, 1, 6, 3)[seed % 5]
    return Sample(arrays, options={"groups": groups, "eps": EPS[seed % 5], "layout": layout})


def _instance(seed: int) -> Sample:
    x, layout = _images(seed, 2, 6, (*SIZES[:4], (11,)))
    arrays = {"x": x}
    if seed % 5 != 1:
        arrays["scale"] = normal(seed + 1, (6,))
    if seed % 5 != 3:
        arrays["bias"] = normal(seed + 2, (6,))
    return Sample(arrays, options={"eps": EPS[seed % 5], "layout": layout})


ALONG = (
    ((3, 7), -1),
    ((2, 3, 5), (1, 2)),
    ((2, 5, 3, 4), (3, 1)),
    ((7,), 0),
    ((2, 3, 5), (0, 1, 2)),
    ((3, 0, 4), -1),
    ((3, 4, 0), -1),
    ((4, 3), (-2,)),
)


def _along(seed: int, names: tuple[str, ...]) -> Sample:
    shape, axis = ALONG[seed % 8]
    axes = sorted(a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,)))
    arrays = {"x": 0.5 + normal(seed, shape)}
    for i, name in enumerate(names):
        if seed % 8 % 3 != i + 1:  # some samples have no scale and some have no bias
            arrays[name] = normal(seed + i + 1, tuple(shape[a] for a in axes))
    return Sample(arrays, options={"axis": axis, "eps": EPS[seed % 2]})


def _kernels(seed: int) -> Sample:
    layout = LAYOUTS[seed // 5 % 2]
    window = (*SIZES[:4], ())[seed % 5]
    shape = (*window, 3, 4) if layout == "channels_last" else (4, 3, *window)
    if seed % 10 == 9:
        shape = (0, 3)
    return Sample(
        {"w": 0.5 + normal(seed, shape)}, options={"eps": EPS[seed % 2], "layout": layout}
    )


RESPONSES = (
    {"size": 5},
    {"size": 2, "alpha": 0.7, "beta": 0.75, "k": 2.0},
    {"size": 4, "alpha": 1.3, "beta": 0.5},
    {"size": 3, "alpha": 0.4, "beta": 1.5, "k": 0.5},
    {"size": 19, "alpha": 2.0, "beta": -1.0},
)


def _response(seed: int) -> Sample:
    x, layout = _images(seed, 2, 6)
    return Sample({"x": 2 * x}, options={**RESPONSES[seed % 5], "layout": layout})


IMAGES = (8, 17, 16, 24)


def _large(**options: object) -> Sample:
    arrays = {"x": 0.5 + normal(0, IMAGES), "scale": normal(1, (24,)), "bias": normal(2, (24,))}
    return Sample(arrays, options=options)


def _large_inference() -> Sample:
    arrays = dict(_large().arrays)
    return Sample({**arrays, "mean": normal(3, (24,)), "var": positive(4, (24,))})


def _affine_refusals(op: str, **required: object):
    """Yield invalid arguments of ops whose scale and bias have one number per channel."""
    x, c = np.zeros((2, 5, 4)), np.zeros(4)
    for shape in ((), (1,), (5,), (1, 4)):
        message = f"{op}: scale must have shape (4,), but its shape is {shape}"
        yield value_error(message, x, np.zeros(shape), c, **required)
        message = f"{op}: bias must have shape (4,), but its shape is {shape}"
        yield value_error(message, x, c, np.zeros(shape), **required)
    message = f"{op}: scale must have shape (5,), but its shape is (4,)"
    yield value_error(message, x, c, c, **required, layout="channels_first")
    yield from _eps_refusals(op, x, c, c, **required)


def _eps_refusals(op: str, *arrays: np.ndarray, **required: object):
    message = f"{op}: eps must be at least 0, but got -1e-05"
    yield value_error(message, *arrays, **required, eps=-1e-5)


def _rank_refusals(op: str, *rest: np.ndarray, **required: object):
    """Yield x with too few or too many dimensions."""
    for form, layout in (
        ("(N, *spatial, C)", "channels_last"), ("(N, C, *spatial)", "channels_first"),
    ):  # fmt: skip
        for shape in ((), (4,), (1, 2, 2, 2, 2, 4)):
            must = f"x must be {form} with 0 to 3 spatial dimensions"
            message = f"{op}: {must}, but its shape is {shape}"
            yield value_error(message, np.zeros(shape), *rest, **required, layout=layout)


def _batch_refusals():
    op, x, c = "batch_norm", np.zeros((2, 5, 4)), np.zeros(4)
    yield from _affine_refusals(op)
    yield from _rank_refusals(op, c, c)
    for name in (1, 1.0, ("i", 1), True):
        message = f"{op}: axis_name must be None, a name or a tuple of names, but got {name!r}"
        yield type_error(message, x, c, c, axis_name=name)
    message = f"{op}: axis_name must name different axes, but got ('i', 'i')"
    yield value_error(message, x, c, c, axis_name=("i", "i"))
    for name in ("nowhere", ("nowhere",)):
        message = f"{op}: axis_name must be of axes that are mapped here, but got {name!r}"
        yield value_error(message, x, c, c, axis_name=name)


def _inference_refusals():
    op, x, c = "batch_norm_inference", np.zeros((2, 5, 4)), np.zeros(4)
    yield from _rank_refusals(op, c, c, c, c)
    for i, name in enumerate(("scale", "bias", "mean", "var")):
        arrays = [c, c, c, c]
        arrays[i] = np.zeros((2, 4))
        message = f"{op}: {name} must have shape (4,), but its shape is (2, 4)"
        yield value_error(message, x, *arrays)
    yield from _eps_refusals(op, x, c, c, c, c)


def _group_refusals():
    op, x, c = "group_norm", np.zeros((2, 5, 4)), np.zeros(4)
    yield from _affine_refusals(op, groups=2)
    yield from _rank_refusals(op, c, c, groups=2)
    for groups in (3, 8):
        message = f"{op}: x has 4 channels, which is not a multiple of groups={groups}"
        yield value_error(message, x, c, c, groups)
    yield value_error(f"{op}: groups must be at least 1, but got 0", x, c, c, 0)
    yield type_error(f"{op}: groups must be an int, but got 2.0", x, c, c, 2.0)


def _instance_refusals():
    op = "instance_norm"
    yield from _affine_refusals(op)
    must = "x must be (N, *spatial, C) with 1, 2 or 3 spatial dimensions"
    yield value_error(f"{op}: {must}, but its shape is (2, 4)", np.zeros((2, 4)))


def _along_refusals(op: str, names: tuple[str, ...]):
    x = np.zeros((2, 3, 4))
    yield from _eps_refusals(op, x)
    must = f"{op}: axis must be one or several different axes of x of shape"
    for axes in (3, -4, (), (0, 0), (1, -2), (0, 3)):
        yield value_error(f"{must} (2, 3, 4), but got {axes!r}", x, axis=axes)
    yield value_error(f"{must} (), but got -1", np.zeros(()))
    for wrong in (1.0, "1", None, True):
        yield type_error(f"{op}: axis must be an int, but got {wrong!r}", x, axis=wrong)
    for name in names:
        for axis, expected in ((-1, (4,)), ((2, 0), (2, 4))):
            message = f"{op}: {name} must have shape {expected}, but its shape is (3,)"
            yield value_error(message, x, **{name: np.zeros(3)}, axis=axis)


def _kernel_refusals():
    op = "weight_standardize"
    yield from _eps_refusals(op, np.zeros((3, 2, 4)))
    for form, layout in (
        ("(*window, C_in/groups, C_out)", "channels_last"),
        ("(C_out, C_in/groups, *window)", "channels_first"),
    ):
        for shape in ((), (4,), (1, 2, 2, 2, 2, 4)):
            must = f"w must be {form} with 0 to 3 window dimensions"
            message = f"{op}: {must}, but its shape is {shape}"
            yield value_error(message, np.zeros(shape), layout=layout)


def _response_refusals():
    op, x = "local_response_norm", np.zeros((2, 5, 4))
    yield from _rank_refusals(op, size=3)
    yield value_error(f"{op}: size must be at least 1, but got 0", x, 0)
    yield type_error(f"{op}: size must be an int, but got 2.5", x, 2.5)
    for name in ("alpha", "beta", "k"):
        yield value_error(f"{op}: {name} must be finite, but got inf", x, 3, **{name: np.inf})
        yield type_error(f"{op}: {name} must be a number, but got '1'", x, 3, **{name: "1"})


def _batch_pins():
    one, two = np.ones(1), np.array([2.0])
    yield Pinned(
        "a channel of equal numbers",
        Sample({"x": np.full((4, 1), 3.0), "scale": two, "bias": one}),
        dy=(np.full((4, 1), 5.0), np.zeros(1), np.zeros(1)),
        y=(np.ones((4, 1)), np.array([3.0]), np.zeros(1)),
        gradients={"x": np.zeros((4, 1)), "scale": np.zeros(1), "bias": np.array([20.0])},
    )
    yield Pinned(
        "a single number",
        Sample({"x": np.full((1, 1), 3.0), "scale": two, "bias": one}),
        dy=(np.full((1, 1), 5.0), np.array([7.0]), np.array([9.0])),
        y=(np.ones((1, 1)), np.array([3.0]), np.zeros(1)),
        gradients={"x": np.full((1, 1), 7.0), "scale": np.zeros(1), "bias": np.array([5.0])},
    )
    yield Pinned(
        "no numbers",
        Sample({"x": np.zeros((0, 3, 1)), "scale": two, "bias": one}),
        dy=(np.zeros((0, 3, 1)), np.array([7.0]), np.array([9.0])),
        y=(np.zeros((0, 3, 1)), np.zeros(1), np.zeros(1)),
        gradients={"scale": np.zeros(1), "bias": np.zeros(1)},
    )
    nan = np.full(2, np.nan)
    yield Pinned(
        "NaN in one of two channels",
        Sample(
            {"x": np.array([[np.nan, 3.0], [1.0, 3.0]]), "scale": np.ones(2), "bias": np.ones(2)}
        ),
        dy=(np.ones((2, 2)), np.zeros(2), np.zeros(2)),
        y=(np.stack([nan, np.ones(2)], 1), np.array([np.nan, 3.0]), np.array([np.nan, 0.0])),
        gradients={
            "x": np.stack([nan, np.zeros(2)], 1),
            "scale": np.array([np.nan, 0.0]),
            "bias": np.array([2.0, 2.0]),
        },
    )


def _constant(why: str, shape: tuple[int, ...], **rest: object) -> Pinned:
    """Pin x of equal numbers for dy = 5: y is the bias (1, or 0 without bias) and dx is 0."""
    bias = rest.pop("bias", None)
    arrays = {"x": np.full(shape, 3.0)} | ({} if bias is None else {"bias": bias})
    return Pinned(
        why,
        Sample(arrays, options=rest),
        dy=np.full(shape, 5.0),
        y=np.full(shape, 0.0 if bias is None else 1.0),
        gradients={"x": np.zeros(shape)},
    )


RECORDS = (
    Record(
        name="batch_norm",
        sample=_batch,
        large=_large,
        transformed=(1, 5),
        pinned=tuple(_batch_pins()),
        refusals=_batch_refusals,
        by_example=(),
    ),
    Record(
        name="batch_norm_inference",
        sample=_inference,
        large=_large_inference,
        transformed=(1,),
        refusals=_inference_refusals,
    ),
    Record(
        name="layer_norm",
        sample=lambda seed: _along(seed, ("scale", "bias")),
        large=_large,
        transformed=(0,),
        pinned=(
            _constant("equal numbers", (2, 4), bias=np.ones(4)),
            _constant("groups of one", (4, 1), bias=np.ones(1)),
        ),
        refusals=lambda: _along_refusals("layer_norm", ("scale", "bias")),
        by_example=(),
    ),
    Record(
        name="rms_norm",
        sample=lambda seed: _along(seed, ("scale",)),
        large=lambda: Sample({"x": 0.5 + normal(0, IMAGES), "scale": normal(1, (24,))}),
        transformed=(0,),
        pinned=(
            Pinned(
                "zeros",
                Sample({"x": np.zeros(3)}, options={"eps": 0.25}),
                dy=np.array([1.0, 2.0, 3.0]),
                y=np.zeros(3),
                gradients={"x": np.array([2.0, 4.0, 6.0])},
            ),
        ),
        refusals=lambda: _along_refusals("rms_norm", ("scale",)),
        by_example=(),
    ),
    Record(
        name="group_norm",
        sample=_group,
        large=lambda: _large(groups=8),
        transformed=(0,),
        refusals=_group_refusals,
    ),
    Record(
        name="instance_norm",
        sample=_instance,
        large=_large,
        transformed=(0,),
        pinned=(
            _constant("equal numbers", (2, 4, 1), bias=np.ones(1)),
            _constant("a single number", (2, 1, 1), bias=np.ones(1)),
        ),
        refusals=_instance_refusals,
    ),
    Record(
        name="weight_standardize",
        sample=_kernels,
        large=lambda: Sample({"w": 0.5 + normal(0, (8, 3, 24, 32))}),
        transformed=(1,),
        refusals=_kernel_refusals,
        by_example=(),
    ),
    Record(
        name="local_response_norm",
        sample=_response,
        large=lambda: Sample({"x": 2 * normal(0, IMAGES)}, options={"size": 5}),
        transformed=(1,),
        refusals=_response_refusals,
    ),
)
