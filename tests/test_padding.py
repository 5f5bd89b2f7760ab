"""extend and retract."""

import itertools

import numpy as np
import pytest
from naive import source
from rules import integers

from jaxconv.padding import extend, retract

MODES = ["reflect", "replicate", "circular"]


@pytest.mark.parametrize("mode", MODES)
def test_every_small_border(mode):
    for n, low, high in itertools.product(range(1, 5), (0, 1, 2, 4, 8), (0, 3, 7)):
        x = np.arange(n, dtype=float)[None]
        y = extend(x, [(low, high)], [1], mode)
        want = [source(p, n, mode) for p in range(-low, n + high)]
        np.testing.assert_array_equal(y[0], want)


@pytest.mark.parametrize("mode", MODES)
def test_retract_is_the_transpose(mode):
    """<extend(x), dy> = <x, retract(dy)>, with the corners of two axes counted."""
    padding, axes = [(4, 1), (0, 7)], [1, 2]
    x = integers(0, (2, 3, 5, 2))
    y = extend(x, padding, axes, mode)
    dy = integers(1, y.shape)
    assert np.sum(y * dy) == np.sum(x * retract(dy, padding, axes, mode))
    names = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    np.testing.assert_array_equal(y, np.pad(x, ((0, 0), *padding, (0, 0)), mode=names[mode]))


@pytest.mark.parametrize("mode", MODES)
def test_empty_batch(mode):
    x = np.zeros((0, 3, 2))
    y = extend(x, [(2, 2)], [1], mode)
    assert y.shape == (0, 7, 2)
    assert retract(y, [(2, 2)], [1], mode).shape == x.shape
