"""Records of the losses over classes."""

import numpy as np

from jaxconv._core.types import Options
from jaxconv.check.catalogue.loss.pairs import REDUCED
from jaxconv.check.catalogue.record import Pinned, Record, Sample, type_error, value_error
from jaxconv.check.catalogue.sampling import distinct, normal, positive

REDUCTIONS = ("mean", "sum", "none")
EXAMPLES = ((5,), (2, 3), (), (0,), (1, 1))


def _cross_entropy(seed: int) -> Sample:
    """Return a sample; kinds of labels, forms of weights and reductions take turns."""
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
        message = f"{op}: label_smoothing must be in [0, 1], but got {value}"
        yield value_error(message, z, t, label_smoothing=value)
    message = f"{op}: ignore_index needs integer labels, but the labels are float64"
    yield value_error(message, z, np.zeros((2, 3)), ignore_index=0)


def _likelihood(seed: int) -> Sample:
    """Return a sample; kinds of labels, forms of weights and reductions take turns."""
    rng = np.random.default_rng((6, seed))
    examples, classes = EXAMPLES[seed % 5], 7
    z = normal(seed, (*examples, classes))
    arrays, fixed = {"log_probs": z - np.log(np.sum(np.exp(z), -1, keepdims=True))}, {}
    options: Options = {"reduction": REDUCTIONS[seed % 5 % 3]}
    if seed % 10 < 5:
        fixed["labels"] = rng.integers(0, classes, examples)
        options["ignore_index"] = 3 if seed % 2 else None
        form = (None, (classes,), (*examples, 1), None, (classes,))[seed % 5]
    else:
        arrays["labels"] = rng.dirichlet(np.ones(classes), examples)
        form = ((*examples, classes), examples, (classes,), (classes,), None)[seed % 5]
    if form is not None:
        arrays["weights"] = positive(seed, form)
    return Sample(arrays, fixed, options)


def _large_likelihood() -> Sample:
    labels = np.random.default_rng(0).integers(0, 100, 64)
    return Sample({"log_probs": normal(0, (64, 100))}, {"labels": labels}, {"reduction": "none"})


def _likelihood_pins():
    x = np.array([[-1.0, -np.inf], [-np.inf, -2.0]])
    fixed = {"labels": np.array([0, 0])}
    yield Pinned(
        "−∞, asked for and not",
        Sample({"log_probs": x}, fixed, {"reduction": "none"}),
        dy=np.array([2.0, 3.0]),
        y=np.array([1.0, np.inf]),
        gradients={"log_probs": np.array([[-2.0, 0.0], [-3.0, 0.0]])},
    )
    zeros = np.zeros((2, 2))
    yield Pinned(
        "all labels ignored",
        Sample({"log_probs": x}, fixed, {"ignore_index": 0}),
        dy=np.float64(1),
        y=0.0,
        gradients={"log_probs": zeros},
    )
    yield Pinned(
        "no weight",
        Sample({"log_probs": zeros, "weights": np.zeros(2)}, fixed),
        dy=np.float64(1),
        y=0.0,
        gradients={"log_probs": zeros, "weights": np.zeros(2)},
    )
    yield Pinned(
        "labels out of range, beyond their dtype too",
        Sample({"log_probs": zeros}, {"labels": np.array([2, -1])}, {"reduction": "none"}),
        dy=np.ones(2),
        y=np.full(2, np.nan),
        gradients={"log_probs": np.full((2, 2), np.nan)},
    )


def _likelihood_refusals():
    op, z, t = "nll_loss", np.zeros((2, 3)), np.zeros(2, int)
    message = f"{op}: log_probs must be (..., classes), but their shape is (2, 0)"
    yield value_error(message, np.zeros((2, 0)), t)
    must = "integer labels must have shape (2,) for log_probs of shape (2, 3)"
    yield value_error(f"{op}: {must}, but their shape is (3,)", z, np.zeros(3, int))
    must = "weights must be (3,), one per class, or (2, 1), one per example, for log_probs of shape"
    message = f"{op}: {must} (2, 3), but their shape is (4,)"
    yield value_error(message, z, t, weights=np.zeros(4))
    message = f"{op}: ignore_index needs integer labels, but the labels are float64"
    yield value_error(message, z, z, ignore_index=0)
    message = f"{op}: labels must be integers or floating-point probabilities"
    yield type_error(f"{message}, but their dtype is bool", z, np.zeros(2, bool))


def _hinge(seed: int) -> Sample:
    shape, reduction = REDUCED[seed % 8]
    scores = 4 * distinct(seed, (*shape, 5), gap=0.1)  # 0.4 apart, at least 0.2 from the kink
    labels = np.asarray(np.random.default_rng((9, seed)).integers(0, 5, shape))
    margin = (1.0, 0.2, 2.2)[seed % 8 % 3]
    return Sample(
        {"scores": scores}, {"labels": labels}, {"margin": margin, "reduction": reduction}
    )


def _large_hinge() -> Sample:
    labels = np.random.default_rng(0).integers(0, 100, 64)
    return Sample({"scores": normal(0, (64, 100))}, {"labels": labels}, {"reduction": "none"})


def _hinge_pins():
    for why, s, label, y, ds in (
        ("the kink", [2.0, 1.0, 0.0], 0, 0.0, [0.0, 0.0, 0.0]),
        ("tied rivals: the first", [1.0, 2.0, 2.0], 0, 2.0, [-6.0, 6.0, 0.0]),
        ("the best ties with the label", [1.0, 1.0, 0.0], 1, 1.0, [6.0, -6.0, 0.0]),
        ("one class", [3.0], 0, 0.0, [0.0]),
        ("NaN", [0.0, np.nan, 5.0], 0, np.nan, [0.0, 0.0, 0.0]),
        ("impossible rivals", [0.0, -np.inf, -np.inf], 0, 0.0, [0.0, 0.0, 0.0]),
        ("an impossible label", [-np.inf, 0.0, 1.0], 0, np.inf, [-6.0, 0.0, 6.0]),
        ("a label out of range", [0.0, 1.0], 2, np.nan, [np.nan, np.nan]),
        ("a negative label", [0.0, 1.0], -1, np.nan, [np.nan, np.nan]),
    ):
        sample = Sample({"scores": np.array([s])}, {"labels": np.array([label])})
        yield Pinned(why, sample, np.float64(6), y, {"scores": np.array([ds])})


def _hinge_refusals():
    op, s, t = "multiclass_hinge_loss", np.zeros((2, 3)), np.zeros(2, int)
    for dtype in ("bool", "float64"):
        message = f"{op}: labels must be integers, but their dtype is {dtype}"
        yield type_error(message, s, t.astype(dtype))
    for shape in ((), (2, 3), (3,)):
        must = f"{op}: labels must have shape (2,) for scores of shape (2, 3)"
        yield value_error(f"{must}, but their shape is {shape}", s, np.zeros(shape, int))
    message = f"{op}: scores must be (..., classes), but their shape is ()"
    yield value_error(message, np.zeros(()), t)
    yield type_error(f"{op}: margin must be a number, but got None", s, t, margin=None)


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
    Record(
        name="nll_loss",
        sample=_likelihood,
        large=_large_likelihood,
        transformed=(0, 6),
        pinned=tuple(_likelihood_pins()),
        refusals=_likelihood_refusals,
        by_example=("log_probs", "labels"),
    ),
    Record(
        name="multiclass_hinge_loss",
        sample=_hinge,
        large=_large_hinge,
        transformed=(0,),
        pinned=tuple(_hinge_pins()),
        refusals=_hinge_refusals,
        by_example=("scores", "labels"),
    ),
)
