"""Records of the resampling ops."""

from functools import partial

import jax
import numpy as np

import jaxconv.reference
from jaxconv.check.catalogue.geometries import pool_case
from jaxconv.check.catalogue.record import Pinned, Record, Sample, type_error, value_error
from jaxconv.check.catalogue.sampling import layout_of, normal, shape_of


def _patch_case(seed):
    """Return the shape of an image and options of windows; half are dilated, half padded widely."""
    case = pool_case(seed, largest=seed // 3 % 2 == 0)
    options = {"window": case.window, **case.keywords}
    for name in ("ceil_mode", "count_include_pad", "divisor"):
        options.pop(name, None)
    options["stride"] = options["stride"] or 1
    return case.x, options


def _unfold(seed: int) -> Sample:
    shape, options = _patch_case(seed)
    return Sample({"x": normal(seed, shape)}, options=options)


def _fold(seed: int) -> Sample:
    return _patches(seed, *_patch_case(seed))


def _patches(seed, shape, options):
    """Return patches of an image of this shape, the input of `fold`."""
    unfold = partial(jaxconv.reference.unfold, **options)
    patches = jax.eval_shape(unfold, jax.ShapeDtypeStruct(shape, np.float64))
    size = shape[1:-1] if options["layout"] == "channels_last" else shape[2:]
    return Sample({"x": normal(seed, patches.shape)}, options={"output_size": size, **options})


SIZES = {1: ((11,), (5,), (1,)), 2: ((5, 3), (2, 7), (6, 1)), 3: ((3, 2, 5), (1, 4, 3), (2, 3, 1))}
FACTORS = {1: (3, (4,), 2), 2: (2, (2, 3), 3), 3: ((2, 1, 3), (3, 2, 1), 2)}
# Larger, smaller, equal and single-pixel sizes; ratios that are integers and others.
NEW_SIZES = {1: (22, (7,), 3), 2: ((3, 7), 4, (6, 1)), 3: ((6, 3, 2), 3, (1, 7, 1))}


def _image(seed):
    """Return (number of the size, dimensions, layout, channels) for this seed."""
    return seed // 3 % 3, 1 + seed % 3, layout_of(seed), (3, 1)[seed // 2 % 2]


def _upsample(seed: int) -> Sample:
    which, dims, layout, channels = _image(seed)
    options = {
        "factor": FACTORS[dims][which],
        "method": ("linear", "nearest")[seed // 2 % 2],
        "layout": layout,
    }
    x = normal(seed, shape_of(seed, layout, SIZES[dims][which], channels))
    return Sample({"x": x}, options=options)


def _resize(seed: int) -> Sample:
    which, dims, layout, channels = _image(seed)
    options = {
        "size": NEW_SIZES[dims][which],
        "method": ("linear", "nearest", "linear", "nearest_floor")[seed % 4],
        "align_corners": seed % 4 == 2,
        "layout": layout,
    }
    x = normal(seed, shape_of(seed, layout, SIZES[dims][which], channels))
    return Sample({"x": x}, options=options)


def _each(factor, dims):
    return (factor,) * dims if isinstance(factor, int) else factor


def _pixel_shuffle(seed: int) -> Sample:
    which, dims, layout, channels = _image(seed)
    factor = FACTORS[dims][which]
    channels *= int(np.prod(_each(factor, dims)))
    x = normal(seed, shape_of(seed, layout, SIZES[dims][which], channels))
    return Sample({"x": x}, options={"factor": factor, "layout": layout})


def _pixel_unshuffle(seed: int) -> Sample:
    which, dims, layout, channels = _image(seed)
    factor = FACTORS[dims][which]
    size = [n * r for n, r in zip(SIZES[dims][which], _each(factor, dims), strict=True)]
    x = normal(seed, shape_of(seed, layout, size, channels))
    return Sample({"x": x}, options={"factor": factor, "layout": layout})


LARGE = (8, 18, 16, 24)


def _large(**options):
    return Sample({"x": normal(0, LARGE)}, options=options)


def _large_fold() -> Sample:
    options = {"window": (3, 3), "stride": 1, "padding": "SAME", "layout": "channels_last"}
    return _patches(0, (8, 18, 16, 8), options)


def _row(*values):
    """Return one example of one channel."""
    return np.array(values, float)[None, :, None]


def _pinned(why, x, y, dy, dx, **options):
    return Pinned(why, Sample({"x": x}, options=options), dy=dy, y=y, gradients={"x": dx})


NAN, INF = np.nan, np.inf


def _pinned_sizes():
    yield _pinned(
        "halfway between two pixels, nearest takes the later",
        _row(1, 2, 3, 4), _row(2, 4), _row(10, 20), _row(0, 10, 0, 20), size=2,
    )  # fmt: skip
    yield _pinned(
        "no averaging when an image gets smaller: four values have no weight",
        _row(1, 2, 4, 7, 5, 3), _row(2, 5), _row(10, 20), _row(0, 10, 0, 0, 20, 0),
        size=2, method="linear",
    )  # fmt: skip
    yield _pinned(
        "a single position lies on the first corner",
        _row(1, 2, 3), _row(1), _row(10), _row(10, 0, 0),
        size=1, method="linear", align_corners=True,
    )  # fmt: skip
    yield _pinned(
        "a single position lies in the middle",
        _row(1, 2, 3), _row(2), _row(10), _row(0, 10, 0), size=1, method="linear",
    )  # fmt: skip
    yield _pinned(
        "outside of the first and last pixel's middle there is their value",
        _row(0, 8), _row(0, 2, 6, 8), _row(1, 10, 100, 1000), _row(33.5, 1077.5),
        size=4, method="linear",
    )  # fmt: skip
    yield _pinned(
        "NaN and ∞ reach what has a weight on them",
        _row(NAN, 1, 2, 3, INF), _row(NAN, NAN, 1, 1.5, 2, 2.5, 3, INF, INF),
        _row(*[4] * 9), _row(6, 8, 8, 8, 6),
        size=9, method="linear", align_corners=True,
    )  # fmt: skip


def _pinned_patches():
    yield _pinned(
        "copies of NaN and ∞, and padding",
        _row(NAN, 1, INF), np.array([[[0, NAN], [NAN, 1], [1, INF]]]),
        np.array([[[1.0, 10], [100, 1000], [10000, 100000]]]), _row(110, 11000, 100000),
        window=2, padding=((1, 0),),
    )  # fmt: skip


def _pinned_folds():
    yield _pinned(
        "a window on padding alone, and a position between windows",
        np.array([[[1.0], [2.0]]]), _row(0, 0, 2, 0), _row(10, 20, 30, 40),
        np.array([[[0.0], [30.0]]]),
        output_size=(4,), window=1, stride=3, padding=((1, 0),),
    )  # fmt: skip


def _no_positions(op, *arguments, **keywords):
    for shape in ((2, 0, 3), (2, 3, 0, 4)):
        message = f"{op}: x must have at least 1 position in each spatial dimension"
        message += f", but its shape is {shape}"
        yield value_error(message, np.zeros(shape), *arguments, **keywords)


def _refused_unfolds():
    yield from _no_positions("unfold", 1, padding=1)
    message = "unfold: stride must be an int, but got None"
    yield type_error(message, np.zeros((2, 5, 3)), 1, stride=None)


def _refused_folds():
    x, form = np.zeros((2, 6, 12)), "(N, positions, window·C)"
    message = f"fold: x must be {form}, but its shape is (2, 3, 2, 12)"
    yield value_error(message, np.zeros((2, 3, 2, 12)), (4, 3), 2)
    message = "fold: x must be (N, C·window, positions), but its shape is (6, 12)"
    yield value_error(message, x[0], (4, 3), 2, layout="channels_first")
    for size in (4, (), (1, 2, 3, 4), "SAME"):
        message = "fold: output_size must be 1, 2 or 3 ints, one per spatial dimension"
        yield type_error(f"{message}, but got {size!r}", x, size, 2)
    message = "fold: output_size[1] must be at least 1, but got 0"
    yield value_error(message, x, (4, 0), 2)
    message = f"fold: x must be {form} with 4 positions and a multiple of 4 window elements"
    yield value_error(f"{message}, but its shape is (2, 6, 12)", x, (3, 3), 2)
    message = f"fold: x must be {form} with 6 positions and a multiple of 8 window elements"
    yield value_error(f"{message}, but its shape is (2, 6, 12)", x, (5, 4), (4, 2))
    message = "fold: x must be (N, C·window, positions) with 12 positions and a multiple of 3"
    message += " window elements, but its shape is (2, 7, 12)"
    yield value_error(message, np.zeros((2, 7, 12)), (14,), 3, layout="channels_first")
    message = "fold: the window spans 5 positions of spatial dimension 0 (window 3, dilation 2)"
    message += ", but output_size has 3 + 1 of padding"
    yield value_error(message, x, (3,), 3, dilation=2, padding=((1, 0),))
    message = "fold: stride must be an int, but got None"
    yield type_error(message, x, (4, 3), 2, stride=None)


def _refused_sizes():
    x = np.zeros((2, 4, 6, 3))
    yield from _no_positions("resize", 2)
    message = "resize: size must be at least 1, but got 0"
    yield value_error(message, x, 0)
    message = "resize: size must be an int or 2 ints, one per spatial dimension, but got (1, 2, 3)"
    yield value_error(message, x, (1, 2, 3))
    message = "resize: size must be an int, but got 2.0"
    yield type_error(message, x, 2.0)
    methods = "'nearest', 'nearest_floor', 'linear'"
    message = f"resize: method must be one of {methods}, but got 'bilinear'"
    yield value_error(message, x, 2, method="bilinear")
    message = "resize: align_corners must be True or False, but got None"
    yield type_error(message, x, 2, align_corners=None)
    message = "resize: align_corners=True needs method 'linear', but got 'nearest'"
    yield value_error(message, x, 2, align_corners=True)


def _refused_factors(op):
    x = np.zeros((2, 4, 6, 4))
    yield value_error(f"{op}: factor must be at least 1, but got 0", x, 0)
    yield value_error(f"{op}: factor[1] must be at least 1, but got -2", x, (1, -2))
    yield type_error(f"{op}: factor must be an int, but got 1.5", x, 1.5)
    must = f"{op}: factor must be an int or 2 ints, one per spatial dimension"
    yield value_error(f"{must}, but got (1, 2, 3)", x, (1, 2, 3))


def _refused_upsamplings():
    yield from _no_positions("upsample", 1)
    yield from _refused_factors("upsample")
    message = "upsample: method must be one of 'nearest', 'linear', but got 'cubic'"
    yield value_error(message, np.zeros((2, 4, 6, 3)), 2, method="cubic")


def _refused_shuffles():
    yield from _refused_factors("pixel_shuffle")
    message = "pixel_shuffle: x has 6 channels, which is not a multiple of 4 (factor (2, 2))"
    yield value_error(message, np.zeros((2, 4, 5, 6)), 2)
    yield value_error(message, np.zeros((2, 6, 4, 5)), 2, layout="channels_first")


def _refused_unshuffles():
    yield from _refused_factors("pixel_unshuffle")
    message = "pixel_unshuffle: x has 5 positions in spatial dimension 1"
    message += ", which is not a multiple of 2 (factor (2, 2))"
    yield value_error(message, np.zeros((2, 4, 5, 6)), 2)


RECORDS = (
    Record(
        name="unfold",
        sample=_unfold,
        large=lambda: _large(window=3, padding="SAME"),
        transformed=(1,),
        pinned=tuple(_pinned_patches()),
        refusals=_refused_unfolds,
    ),
    Record(
        name="fold",
        sample=_fold,
        large=_large_fold,
        transformed=(1,),
        pinned=tuple(_pinned_folds()),
        refusals=_refused_folds,
    ),
    Record(
        name="upsample",
        sample=_upsample,
        large=lambda: _large(factor=2, method="linear"),
        transformed=(1, 2),  # linear, nearest
        refusals=_refused_upsamplings,
    ),
    Record(
        name="resize",
        sample=_resize,
        large=lambda: _large(size=(23, 11), method="linear"),
        transformed=(0, 2),  # linear, aligned corners
        pinned=tuple(_pinned_sizes()),
        refusals=_refused_sizes,
    ),
    Record(
        name="pixel_shuffle",
        sample=_pixel_shuffle,
        large=lambda: _large(factor=2),
        transformed=(1,),
        refusals=_refused_shuffles,
    ),
    Record(
        name="pixel_unshuffle",
        sample=_pixel_unshuffle,
        large=lambda: _large(factor=2),
        transformed=(1,),
        refusals=_refused_unshuffles,
    ),
)
