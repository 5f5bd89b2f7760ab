"""Records of the losses that compare a prediction with a target."""

from collections.abc import Callable

import numpy as np

from jaxconv.check.catalogue.loss.pairs import REDUCED, of_pairs, pair_refusals
from jaxconv.check.catalogue.record import Pinned, Sample, type_error, value_error
from jaxconv.check.catalogue.sampling import away_from, normal, positive


def _pair(curved: Callable[[int, np.ndarray], np.ndarray], **choices: tuple[float, ...]):
    """Return samples of a loss of prediction − target, a difference made by `curved`."""

    def sample(seed: int) -> Sample:
        shape, reduction = REDUCED[seed % 8]
        t = normal(seed + 1, shape)
        options = {name: values[seed % 8 % len(values)] for name, values in choices.items()}
        arrays = {"prediction": t + curved(seed, 2 * normal(seed, shape)), "target": t}
        return Sample(arrays, options={"reduction": reduction, **options})

    return sample


DELTAS = (1.0, 0.5, 2.5)
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0])


def _pair_pin(why: str, y: list[float], dx: list[float], **options: float) -> Pinned:
    """Pin the loss of special differences (0, ±∞, NaN, ±1) for dy = 6."""
    return Pinned(
        why,
        Sample(
            {"prediction": SPECIAL, "target": np.zeros(7)},
            options={"reduction": "none", **options},
        ),
        dy=np.full(7, 6.0),
        y=np.array(y),
        gradients={"prediction": np.array(dx), "target": -np.array(dx)},
    )


def _huber_refusals():
    yield from pair_refusals("huber_loss")
    x = np.zeros((2, 3))
    for value in (0, -1.0):
        message = f"huber_loss: delta must be positive, but got {float(value)!r}"
        yield value_error(message, x, x, delta=value)
    yield type_error("huber_loss: delta must be a number, but got '1'", x, x, delta="1")


def _divergence(seed: int) -> Sample:
    shape, reduction = REDUCED[seed % 8]
    arrays = {"prediction": -positive(seed, shape), "target": positive(seed + 1, shape) / 2}
    return Sample(arrays, options={"reduction": reduction})


def _large_divergence() -> Sample:
    rng = np.random.default_rng(0)
    t, p = rng.dirichlet(np.ones(100), (2, 64))
    return Sample({"prediction": np.log(p), "target": t}, options={"reduction": "none"})


def _divergence_pins():
    x = np.array([-1.0, -np.inf, np.nan, -np.inf, -2.0])
    t = np.array([0.0, 0.0, 0.0, 0.5, -0.5])
    yield Pinned(
        "0 · log 0",
        Sample({"prediction": x, "target": t}, options={"reduction": "none"}),
        dy=np.full(5, 2.0),
        y=np.array([0.0, 0.0, np.nan, np.inf, np.nan]),
        gradients={
            "prediction": np.array([0.0, 0.0, 0.0, -1.0, 1.0]),
            "target": np.array([0.0, 0.0, 0.0, np.inf, np.nan]),
        },
    )


RECORDS = (
    of_pairs(
        "mean_squared_error",
        (
            _pair_pin(
                "infinities and NaN",
                [0, 0, np.inf, np.inf, np.nan, 1, 1],
                [0, 0, np.inf, -np.inf, np.nan, 12, -12],
            ),
        ),
        sample=_pair(lambda seed, r: r),
    ),
    of_pairs(
        "l2_loss",
        (
            _pair_pin(
                "infinities and NaN",
                [0, 0, np.inf, np.inf, np.nan, 0.5, 0.5],
                [0, 0, np.inf, -np.inf, np.nan, 6, -6],
            ),
        ),
        sample=_pair(lambda seed, r: r),
    ),
    of_pairs(
        "mean_absolute_error",
        (
            _pair_pin(
                "the kink, infinities and NaN",
                [0, 0, np.inf, np.inf, np.nan, 1, 1],
                [0, 0, 6, -6, 0, 6, -6],
            ),
        ),
        sample=_pair(lambda seed, r: away_from([0], r)),
    ),
    of_pairs(
        "huber_loss",
        (
            _pair_pin(
                "where the pieces meet, infinities and NaN",
                [0, 0, np.inf, np.inf, np.nan, 0.5, 0.5],
                [0, 0, 6, -6, np.nan, 6, -6],
            ),
            _pair_pin(
                "the straight part",
                [0, 0, np.inf, np.inf, np.nan, 0.375, 0.375],
                [0, 0, 3, -3, np.nan, 3, -3],
                delta=0.5,
            ),
        ),
        sample=_pair(
            lambda seed, r: away_from([s * d for s in (-1, 1) for d in DELTAS], r), delta=DELTAS
        ),
        refusals=_huber_refusals,
    ),
    of_pairs(
        "kl_divergence", tuple(_divergence_pins()), sample=_divergence, large=_large_divergence
    ),
)
