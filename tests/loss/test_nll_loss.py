"""nll_loss."""

from functools import partial

import jax
import numpy as np
import pytest
from rules import assert_close, normal

import jaxconv


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weights", [None, (7,), (5, 1), (5,), (5, 7)])
@pytest.mark.parametrize("kind", ["integers", "probabilities"])
def test_after_log_softmax_it_is_the_cross_entropy(kind, weights, reduction):
    rng = np.random.default_rng(0)
    z = normal(0, (5, 7))
    keywords = {"weights": None if weights is None else rng.uniform(0.5, 2, weights)}
    if kind == "integers":
        labels, keywords["ignore_index"] = np.array([3, 0, 6, 3, 1]), 3
    else:
        labels = rng.dirichlet(np.ones(7), 5)
    op = partial(jaxconv.nll_loss, labels=labels, reduction=reduction, **keywords)
    want = jaxconv.softmax_cross_entropy(z, labels, reduction=reduction, **keywords)
    assert_close(op(jax.nn.log_softmax(z)), want)


def test_integer_labels_alone_are_kept():
    """Without weights the loss is linear: no log-probability is a factor of its gradient."""
    op = partial(jaxconv.nll_loss, labels=np.array([1, 2], np.int8))
    kept = jax.tree.leaves(jax.vjp(op, normal(0, (2, 1000)))[1])
    assert sum(leaf.nbytes for leaf in kept) < 20


def test_a_nan_that_is_ignored_does_no_harm():
    x = np.array([[-1.0, -2.0], [np.nan, -1.0]])
    op = partial(jaxconv.nll_loss, labels=np.array([0, 1]), ignore_index=1)
    loss, dx = jax.value_and_grad(op)(x)
    assert loss == 1
    np.testing.assert_array_equal(dx, [[-1, 0], [0, 0]])
