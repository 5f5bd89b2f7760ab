"""One small call of every op, for what must hold whatever the op."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from rules import normal

import jaxconv
import jaxconv.reference
from jaxconv.check.catalogue.geometries import conv_case, pool_case, transposed_case


class Call(NamedTuple):
    """An op's name, the arrays it is differentiated in, and the rest of its arguments."""

    op: str
    arrays: tuple[np.ndarray, ...]
    rest: Callable[..., Any]
    """From the function of that name to one of the arrays alone."""

    def hand(self, *arrays):
        return self.rest(getattr(jaxconv, self.op))(*arrays)

    def twin(self, *arrays):
        return self.rest(getattr(jaxconv.reference, self.op))(*arrays)


def keywords(**keywords):
    """All arrays by position, these keywords."""
    return lambda op: partial(op, **keywords)


def with_labels(labels, **keywords):
    """Logits, then maybe weights."""

    def rest(op):
        return lambda z, *w: op(z, labels, weights=w[0] if w else None, **keywords)

    return rest


def logits_and_labels(op):
    return lambda z, t: op(z, t, label_smoothing=0.1)


_IMAGE = (2, 5, 7, 2)
_LABELS = np.array([2, 0, 4])

CALLS = {
    "conv": Call(
        "conv",
        (normal(0, _IMAGE), normal(1, (3, 2, 1, 4)), normal(2, (4,))),
        keywords(stride=(2, 1), padding=((0, 2), (1, 0)), dilation=(1, 2), groups=2),
    ),
    "conv with border": Call(
        "conv",
        (normal(0, (2, 2, 5, 7)), normal(1, (3, 2, 3, 2)), normal(2, (3,))),
        keywords(padding_mode="circular", flip_kernel=True, layout="channels_first"),
    ),
    "conv_transpose": Call(
        "conv_transpose",
        (normal(0, (2, 3, 4, 4)), normal(1, (3, 2, 3, 4)), normal(2, (6,))),
        keywords(stride=(2, 1), padding=((0, 1), (1, 0)), output_padding=(1, 0), groups=2),
    ),
    "conv 1-D": Call(
        "conv", (normal(0, (2, 7, 2)), normal(1, (3, 2, 3))), keywords(padding="CAUSAL")
    ),
    "dense": Call("dense", (normal(0, (3, 5)), normal(1, (5, 4)), normal(2, (4,))), keywords()),
    "relu": Call("relu", (normal(0, (3, 5)),), keywords()),
    "pad": Call("pad", (normal(0, (3, 5)),), keywords(widths=((2, -1), (0, 7)), mode="reflect")),
    "pad constant": Call("pad", (normal(0, (3, 5)),), keywords(widths=((2, -1), (0, 2)))),
    "max_pool": Call(
        "max_pool", (normal(0, _IMAGE),), keywords(window=3, stride=(2, 1), padding=1)
    ),
    "max_pool all": Call("max_pool", (normal(0, _IMAGE),), keywords(window=2, ties="all")),
    "max_pool split": Call(
        "max_pool", (normal(0, _IMAGE),), keywords(window=2, stride=1, ties="split")
    ),
    "avg_pool": Call(
        "avg_pool",
        (normal(0, _IMAGE),),
        keywords(window=3, stride=(2, 1), padding=1, count_include_pad=False),
    ),
    "softmax_cross_entropy": Call(
        "softmax_cross_entropy",
        (normal(0, (3, 5)), np.array([0.5, 1.0, 2.0, 1.5, 0.7])),
        with_labels(_LABELS, label_smoothing=0.1, ignore_index=0),
    ),
    "softmax_cross_entropy of probabilities": Call(
        "softmax_cross_entropy",
        (normal(0, (3, 5)), np.random.default_rng(1).dirichlet(np.ones(5), 3)),
        logits_and_labels,
    ),
    "softmax_cross_entropy unreduced": Call(
        "softmax_cross_entropy", (normal(0, (3, 5)),), with_labels(_LABELS, reduction="none")
    ),
}


def _sampled():
    """Some of the awkward geometries: 1-D to 3-D, both layouts, every border, N = 0."""
    for op, case, seeds in (
        ("conv", conv_case, (0, 4, 5, 7, 10, 11)),
        ("conv_transpose", transposed_case, (2, 3)),
    ):
        for seed in seeds:
            drawn = case(seed)
            shapes = [shape for shape in (drawn.x, drawn.w, drawn.b) if shape]
            arrays = tuple(normal(i, shape) for i, shape in enumerate(shapes))
            yield f"{op} sample {seed}", Call(op, arrays, keywords(**drawn.keywords))
    for op, largest, ties, seeds in (
        ("max_pool", True, {"ties": "first"}, (2, 3)),
        ("max_pool", True, {"ties": "split"}, (5,)),
        ("avg_pool", False, {}, (2, 4)),
    ):
        for seed in seeds:
            drawn = pool_case(seed, largest=largest)
            rest = keywords(window=drawn.window, **drawn.keywords, **ties)
            yield f"{op} sample {seed}", Call(op, (normal(0, drawn.x),), rest)


CALLS |= dict(_sampled())
