"""Records of the losses with binary labels."""

import numpy as np

from jaxconv.check.catalogue.loss.pairs import ONE_SHAPE, REDUCED, of_pairs, pair_refusals
from jaxconv.check.catalogue.record import Pinned, Record, Sample, type_error, value_error
from jaxconv.check.catalogue.sampling import normal, positive


def _binary(seed: int) -> Sample:
    """Return a sample; labels take every dtype and weights take several shapes in turn."""
    rng = np.random.default_rng((7, seed))
    shape, reduction = REDUCED[seed % 8]
    arrays, fixed = {"logits": 3 * normal(seed, shape)}, {}
    kind = seed % 8 % 4
    if kind < 2:
        arrays["labels"] = rng.uniform(0, 1, shape)
    else:
        fixed["labels"] = np.asarray(rng.integers(0, 2, shape), (bool, np.int32)[kind - 2])
    if seed % 8 in (0, 3, 5, 6):
        arrays["weights"] = positive(seed, ((3, 1), (), (), (), (), (), (7,))[seed % 8])
    if seed % 8 in (0, 1, 3, 5, 7):
        arrays["pos_weight"] = positive(seed + 1, shape[-1:])
    return Sample(arrays, fixed, {"reduction": reduction})


def _large_binary() -> Sample:
    labels = np.random.default_rng(0).integers(0, 2, (64, 100)).astype(np.int8)
    return Sample({"logits": 3 * normal(0, (64, 100))}, {"labels": labels}, {"reduction": "none"})


CERTAIN = np.array([np.inf, -np.inf, 1e4, -1e4, np.inf, -np.inf, 1e4, -1e4])
OUTCOMES = np.array([1, 0, 1, 0, 0, 1, 0, 1])
COSTS = np.array([0, 0, 0, 0, np.inf, np.inf, 1e4, 1e4])
SLOPES = np.array([0.0, 0, 0, 0, 1, -1, 1, -1])


def _binary_pins():
    for labels in (OUTCOMES, OUTCOMES.astype(bool)):
        yield Pinned(
            "certain, right and wrong",
            Sample({"logits": CERTAIN}, {"labels": labels}, {"reduction": "none"}),
            dy=np.full(8, 3.0),
            y=COSTS,
            gradients={"logits": 3 * SLOPES},
        )
    yield Pinned(
        "integers that are no labels",
        Sample({"logits": np.zeros(2)}, {"labels": np.array([2, -1])}, {"reduction": "none"}),
        dy=np.ones(2),
        y=np.full(2, np.nan),
        gradients={"logits": np.full(2, np.nan)},
    )
    yield Pinned(
        "no weight",
        Sample({"logits": np.ones(3), "weights": np.zeros(3)}, {"labels": np.zeros(3, int)}),
        dy=np.float64(1),
        y=0.0,
        gradients={"logits": np.zeros(3), "weights": np.zeros(3)},
    )


def _binary_refusals():
    op, z, t = "sigmoid_binary_cross_entropy", np.zeros((2, 3)), np.zeros((2, 3))
    for shape in ((), (3,), (2, 1)):
        message = f"{op}: logits has shape (2, 3), but labels has {shape} {ONE_SHAPE}"
        yield value_error(message, z, np.zeros(shape))
    for name in ("weights", "pos_weight"):
        for shape in ((2,), (2, 2, 3), (4, 1)):
            must = f"{op}: {name} must broadcast against logits of shape (2, 3)"
            message = f"{must}, but its shape is {shape}"
            yield value_error(message, z, t, **{name: np.zeros(shape)})
    message = f"{op}: labels must be a floating-point array, but its dtype is complex64"
    yield type_error(message, z, t.astype("complex64"))


GAMMAS = (2.0, 0.0, 0.5, 1.5, 2.5, 1.0, 3.0, 0.5)


def _focal(seed: int) -> Sample:
    rng = np.random.default_rng((8, seed))
    shape, reduction = REDUCED[seed % 8]
    arrays, fixed = {"prediction": 2 * normal(seed, shape)}, {}
    if seed % 2 == 0:
        arrays["target"] = rng.uniform(0.05, 0.95, shape)
    else:
        fixed["target"] = np.asarray(rng.integers(0, 2, shape))
    return Sample(arrays, fixed, {"reduction": reduction, "gamma": GAMMAS[seed % 8]})


def _large_focal() -> Sample:
    target = np.random.default_rng(0).integers(0, 2, (64, 100)).astype(float)
    arrays = {"prediction": 3 * normal(0, (64, 100)), "target": target}
    return Sample(arrays, options={"reduction": "none"})


def _focal_pins():
    for gamma in (0.0, 0.5, 2.0):
        yield Pinned(
            f"certain, right and wrong, gamma={gamma}",
            Sample(
                {"prediction": CERTAIN},
                {"target": OUTCOMES},
                {"reduction": "none", "gamma": gamma},
            ),
            dy=np.full(8, 3.0),
            y=COSTS,
            gradients={"prediction": 3 * SLOPES},
        )


def _focal_refusals():
    yield from pair_refusals("focal_loss")
    x = np.zeros((2, 3))
    message = "focal_loss: gamma must be at least 0, but got -0.5"
    yield value_error(message, x, x, gamma=-0.5)
    yield type_error("focal_loss: gamma must be a number, but got None", x, x, gamma=None)


RECORDS = (
    Record(
        name="sigmoid_binary_cross_entropy",
        sample=_binary,
        large=_large_binary,
        transformed=(0, 6),
        pinned=tuple(_binary_pins()),
        refusals=_binary_refusals,
        by_example=("logits", "labels"),
    ),
    of_pairs(
        "focal_loss",
        tuple(_focal_pins()),
        sample=_focal,
        large=_large_focal,
        refusals=_focal_refusals,
    ),
)
