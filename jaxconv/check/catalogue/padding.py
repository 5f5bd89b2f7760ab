"""The record of pad."""

import numpy as np

from jaxconv._core.types import Options
from jaxconv.check.catalogue.record import Record, Sample, type_error, value_error
from jaxconv.check.catalogue.sampling import normal

MODES = ("constant", "reflect", "replicate", "circular")
SHAPES = ((3, 5), (7,), (2, 3, 5), (1, 4), (), (3, 0))


def _sample(seed: int) -> Sample:
    rng = np.random.default_rng((4, seed))
    shape = SHAPES[seed % 6]
    widths = []
    for n in shape:
        low, high = (int(v) for v in rng.integers(-2, 2 * n + 3, 2)) if n else (0, 0)
        widths.append((max(low, -(n // 2)), max(high, -(n // 3))))
    options: Options = {"widths": tuple(widths), "mode": MODES[seed % 4]}
    if options["mode"] == "constant":
        options["value"] = -1.5
    return Sample({"x": normal(seed, shape)}, options=options)


def _large() -> Sample:
    widths = ((0, 0), (40, 30), (20, 0), (0, 0))
    return Sample(
        {"x": normal(0, (8, 17, 16, 24))}, options={"widths": widths, "mode": "replicate"}
    )


def _refusals():
    x = np.zeros((2, 3))
    modes = "'constant', 'reflect', 'replicate', 'circular'"
    message = f"pad: mode must be one of {modes}, but got 'zeros'"
    yield value_error(message, x, [(1, 1), (0, 0)], mode="zeros")
    must = "pad: widths must be 2 (low, high) pairs, one per axis of x of shape (2, 3)"
    for widths in (1, (), [(1, 1)], "SAME"):
        yield value_error(f"{must}, but got {widths!r}", x, widths)
    for pair in (1, (1,), (1, 1, 1)):
        message = f"pad: widths[1] must be a (low, high) pair, but got {pair!r}"
        yield value_error(message, x, [(0, 0), pair])
    message = "pad: widths[0] must be an int, but got 1.0"
    yield type_error(message, x, [(0, 1.0), (0, 0)])
    message = "pad: widths[1] crops 4 of 3, got (-3, -1)"
    yield value_error(message, x, [(0, 0), (-3, -1)])
    message = "pad: mode 'circular' has nothing to copy, x has shape (0, 3)"
    yield value_error(message, np.zeros((0, 3)), [(1, 0), (0, 0)], mode="circular")
    message = "pad: value must be a number, but got 'x'"
    yield type_error(message, x, [(1, 0), (0, 0)], value="x")


RECORDS = (
    Record(
        name="pad",
        sample=_sample,
        large=_large,
        transformed=(0, 1),
        refusals=_refusals,
        by_example=(),
    ),
)
