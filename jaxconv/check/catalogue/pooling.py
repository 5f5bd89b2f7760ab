"""Records of the pooling ops."""

import numpy as np

from jaxconv.check.catalogue.geometries import pool_case
from jaxconv.check.catalogue.record import Pinned, Record, Sample, value_error
from jaxconv.check.catalogue.sampling import distinct, normal, tied

TIES = ("first", "all", "split")


def _max_pool(seed: int) -> Sample:
    case = pool_case(seed, largest=True)
    smooth = seed % 2 == 0
    x = distinct(seed, case.x) if smooth else tied(seed, case.x)
    # Three layouts of dimensions, two of data, three of ties: at a pace of their own.
    options = {"window": case.window, **case.keywords, "ties": TIES[seed // 2 % 3]}
    return Sample({"x": x}, options=options, smooth=smooth)


def _avg_pool(seed: int) -> Sample:
    case = pool_case(seed, largest=False)
    options = {"window": case.window, **case.keywords}
    return Sample({"x": normal(seed, case.x)}, options=options)


def _large(seed: int, **options: object) -> Sample:
    return Sample({"x": normal(seed, (8, 17, 16, 24))}, options=options)


def _row(*values: float) -> np.ndarray:
    """One sample of one channel."""
    return np.array(values)[None, :, None]


def _pinned_ties():
    """One window over all of x, dy = 6."""
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


def _too_much_padding():
    x = np.zeros((1, 5, 5, 4))
    may = "max_pool: padding may not exceed half the window, which spans"
    of = "positions of spatial dimension"
    yield value_error(f"{may} 1 {of} 0, but (1, 1) came", x, 1, padding=1)
    yield value_error(f"{may} 2 {of} 0, but (2, 2) came", x, 2, padding=2)
    yield value_error(f"{may} 3 {of} 0, but (2, 0) came", x, 3, padding=((2, 0), (0, 0)))
    yield value_error(f"{may} 3 {of} 1, but (0, 2) came", x, 3, padding=((1, 1), (0, 2)))
    row = np.zeros((1, 5, 4))
    yield value_error(f"{may} 3 {of} 0, but (2, 0) came", row, 3, stride=1, padding="CAUSAL")


def _divisors():
    x = np.zeros((1, 5, 5, 4))
    for value in (0, 0.0, -0.0):
        yield value_error("avg_pool: divisor must not be 0", x, 2, divisor=value)


RECORDS = (
    Record(
        name="max_pool",
        sample=_max_pool,
        large=lambda: _large(0, window=3, stride=2, padding=1),
        transformed=(2, 3, 4),  # one of each `ties`
        pinned=tuple(_pinned_ties()),
        refusals=_too_much_padding,
    ),
    Record(
        name="avg_pool",
        sample=_avg_pool,
        large=lambda: _large(0, window=3, stride=2, padding=1, count_include_pad=False),
        transformed=(1, 2),
        refusals=_divisors,
    ),
)
