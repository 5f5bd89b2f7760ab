"""Records of the losses."""

import numpy as np

from jaxconv.check.catalogue.record import Pinned, Record, Sample, type_error, value_error
from jaxconv.check.catalogue.sampling import normal, positive

REDUCTIONS = ("mean", "sum", "none")
EXAMPLES = ((5,), (2, 3), (), (0,), (1, 1))


def _cross_entropy(seed: int) -> Sample:
    """Integer labels and probabilities, every form of weights, every reduction."""
    rng = np.random.default_rng((5, seed))
    examples, classes = EXAMPLES[seed % 5], 7
    arrays, fixed = {"logits": 3 * normal(seed, (*examples, classes))}, {}
    options = {"reduction": REDUCTIONS[seed % 3], "label_smoothing": 0.15 * (seed % 2)}
    if seed // 2 % 2:
        fixed["labels"] = rng.integers(0, classes, examples)
        options["ignore_index"] = 3 if seed % 4 == 3 else None
    else:
        arrays["labels"] = rng.dirichlet(np.ones(classes), examples)
    forms = (None, (classes,), (*examples, 1), examples, (*examples, classes))
    form = forms[seed // 5 % 5]
    if form not in (None, ()):
        arrays["weights"] = positive(seed, form)
    return Sample(arrays, fixed, options)


def _large_cross_entropy() -> Sample:
    return Sample(
        {"logits": 3 * normal(0, (64, 100))},
        {"labels": np.random.default_rng(0).integers(0, 100, 64)},
        {"label_smoothing": 0.1, "reduction": "none"},
    )


def _cross_entropy_pins():
    z = np.zeros((1, 4))
    for why, fixed, options in (
        ("all labels ignored", {"labels": np.array([1])}, {"ignore_index": 1}),
        ("no class has weight", {"labels": np.array([1]), "weights": np.zeros(4)}, {}),
    ):
        yield Pinned(why, Sample({"logits": z}, fixed, options), np.float64(1), 0.0, {"logits": z})
    large = 1e4 * np.eye(4)
    yield Pinned(
        "large logits, right labels",
        Sample({"logits": large}, {"labels": np.arange(4)}),
        dy=np.float64(1),
        y=0.0,
        gradients={"logits": np.zeros((4, 4))},
    )


def _cross_entropy_refusals():
    op, z, t = "softmax_cross_entropy", np.zeros((2, 3)), np.zeros(2, int)
    for dtype in ("bool", "complex64"):
        must = f"{op}: labels must be integers or floating-point probabilities"
        message = f"{must}, but their dtype is {dtype}"
        yield type_error(message, z, np.zeros(2, dtype))
        yield type_error(message, z, np.zeros((2, 3), dtype))
    for shape in ((), (2, 0)):
        message = f"{op}: logits must be (..., classes), but their shape is {shape}"
        yield value_error(message, np.zeros(shape), t)
    for kind, dtype, expected, shapes in (
        ("integer", int, (2,), [(), (3,), (2, 1), (2, 3)]),
        ("probability", float, (2, 3), [(), (2,), (2, 1), (1, 3), (2, 4)]),
    ):
        must = f"{kind} labels must have shape {expected} for logits of shape (2, 3)"
        for shape in shapes:
            message = f"{op}: {must}, but their shape is {shape}"
            yield value_error(message, z, np.zeros(shape, dtype))
    must = "weights must be (3,), one per class, or (2, 1), one per example, for logits of shape"
    for shape in ((4,), (2, 4), (3, 1), (1, 2, 3)):
        message = f"{op}: {must} (2, 3), but their shape is {shape}"
        yield value_error(message, z, t, weights=np.zeros(shape))
    for value in (-0.1, 1.1, 2.0):
        message = f"{op}: label_smoothing must be in [0, 1], but {value} came"
        yield value_error(message, z, t, label_smoothing=value)
    message = f"{op}: ignore_index needs integer labels, but the labels are float64"
    yield value_error(message, z, np.zeros((2, 3)), ignore_index=0)


RECORDS = (
    Record(
        name="softmax_cross_entropy",
        sample=_cross_entropy,
        large=_large_cross_entropy,
        transformed=(0, 6, 16),
        pinned=tuple(_cross_entropy_pins()),
        refusals=_cross_entropy_refusals,
        by_example=("logits", "labels"),
    ),
)
