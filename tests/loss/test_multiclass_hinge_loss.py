"""multiclass_hinge_loss."""

from functools import partial

import jax
import numpy as np
import pytest
from rules import assert_close, normal

import jaxconv


def loop(s, labels, margin):
    """Loss and gradient of the sum, one example at a time."""
    losses, gradient = [], np.zeros_like(s)
    for n, t in enumerate(labels):
        others = [c for c in range(s.shape[1]) if c != t]
        rival = max(others, key=lambda c: s[n, c])
        losses.append(max(0.0, margin + s[n, rival] - s[n, t]))
        if losses[-1] > 0:
            gradient[n, rival] += 1
            gradient[n, t] -= 1
    return np.array(losses), gradient


@pytest.mark.parametrize("margin", [0.0, 1.0, 2.5])
def test_definition(margin):
    s, labels = 2 * normal(0, (50, 4)), np.random.default_rng(0).integers(0, 4, 50)
    losses, gradient = loop(s, labels, margin)
    assert 0 < np.mean(losses > 0) < 1
    op = partial(jaxconv.multiclass_hinge_loss, labels=labels, margin=margin)
    assert_close(op(s, reduction="none"), losses)
    assert_close(op(s), np.mean(losses))
    assert_close(jax.grad(op)(s), gradient / 50)


def test_two_classes_have_one_rival():
    """Then the hinge that counts every rival, as in CS231n, is the same."""
    s, labels = normal(0, (50, 2)), np.random.default_rng(0).integers(0, 2, 50)
    every = np.maximum(0, 1 + s - s[np.arange(50), labels][:, None])
    every[np.arange(50), labels] = 0
    got = jaxconv.multiclass_hinge_loss(s, labels, reduction="none")
    assert_close(got, every.sum(1))


@pytest.mark.parametrize(("dtype", "classes"), [(np.uint8, 256), (np.int8, 300)])
def test_more_classes_than_the_label_dtype_counts(dtype, classes):
    s, labels = normal(0, (2, classes)), np.array([3, 44])
    loss = partial(jaxconv.multiclass_hinge_loss, s)
    assert_close(loss(labels.astype(dtype)), loss(labels))
