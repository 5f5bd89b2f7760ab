"""The ops of the benchmark: PyTorch is asked for the same, and dy is no constant."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from rules import assert_close

import jaxconv
from jaxconv._core.work import Work
from jaxconv.bench.cases import CASES, Case, Torch
from jaxconv.bench.pytorch import as_torch

CONV = Case(
    "conv", ((2, 4, 5, 3), (3, 3, 3, 6)), {"stride": 2, "padding": 1},
    Torch("conv2d", stride=2, padding=1),
)  # fmt: skip


def small(case):
    """Two images of few pixels, or two rows."""
    x, *others = case.shapes
    return replace(case, shapes=((2, *(min(n, 16) for n in x[1:-1]), x[-1]), *others))


@pytest.mark.parametrize("name", CASES)
def test_pytorch_is_asked_for_the_same(name):
    pytest.importorskip("torch")
    case = small(CASES[name])
    function, args = case.on_jax(jaxconv.reference)["forward"]
    y = np.asarray(jax.jit(function)(*args))
    wanted = as_torch(y, "cpu").numpy()
    got = case.on_torch("cpu")["forward"]()
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-4, atol=1e-4)


def test_gradients_are_those_of_the_cotangent_that_is_given():
    function, (dy, x, w) = CONV.on_jax(jaxconv)["both"]
    y, (dx, dw) = function(dy, x, w)
    assert y.shape == dy.shape == (2, 2, 3, 6)
    assert (dx.shape, dw.shape) == (x.shape, w.shape)
    _, (twice, _) = function(2 * dy, x, w)
    assert_close(twice, 2 * dx, tolerance=1e-6)


def test_labels_are_arguments_without_gradients():
    case = Case("softmax_cross_entropy", ((4, 3),), labels=3)
    function, (dy, logits, labels) = case.on_jax(jaxconv)["both"]
    assert labels.tolist() == [0, 1, 2, 0]
    _, (dlogits,) = function(dy, logits, labels)
    assert dlogits.shape == logits.shape


def test_what_pytorch_differentiates():
    pytest.importorskip("torch")
    y, gradients = CONV.on_torch("cpu")["both"]()
    assert y.shape == (2, 6, 2, 3)
    assert [g.shape for g in gradients] == [(2, 3, 4, 5), (6, 3, 3, 3)]
    assert Case("relu", ((2, 3),)).on_torch("cpu") == {}


def test_work():
    adds, moved = 2 * (2 * 3) * (3 * 3) * 3 * 6, 4 * (2 * 4 * 5 * 3 + 3 * 3 * 3 * 6 + 2 * 2 * 3 * 6)
    assert CONV.work() == {"forward": [Work(adds, moved)], "both": [Work(3 * adds, 2 * moved)]}
    assert Case("relu", ((2, 3),)).work()["both"] == [Work(0, 4 * 2 * 2 * 6)]


def test_batches():
    """Of images and of rows; whose number of labels is theirs."""
    assert CONV.of_batches(3).shapes == ((6, 4, 5, 3), (3, 3, 3, 6))
    losses = Case("softmax_cross_entropy", ((4, 3),), labels=3).of_batches(2)
    _, (_, logits, labels) = losses.on_jax(jaxconv)["both"]
    assert (logits.shape, labels.tolist()) == ((8, 3), [0, 1, 2, 0, 1, 2, 0, 1])


def test_residuals():
    case = Case("relu", ((8, 16),))
    assert case.residual_bytes(jaxconv) <= case.residual_bytes(jaxconv.reference)
