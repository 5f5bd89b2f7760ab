"""pad, and the extend and retract that conv shares with it."""

import itertools
from functools import partial

import jax
import numpy as np
import pytest
from naive import source
from rules import integers, value_and_pullback

import jaxconv
import jaxconv.reference
from jaxconv.padding import extend, retract

COPYING = ["reflect", "replicate", "circular"]
MODES = ["constant", *COPYING]


@pytest.mark.parametrize("mode", COPYING)
def test_every_small_border(mode):
    for n, low, high in itertools.product(range(1, 5), (-6, -2, 0, 1, 4, 8), (-3, 0, 3, 7)):
        if n + low + high >= 0:
            x = np.arange(n, dtype=float)[None]
            want = [source(p, n, mode) for p in range(-low, n + high)]
            np.testing.assert_array_equal(extend(x, [(low, high)], [1], mode)[0], want)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "widths",
    [
        ((0, 0), (4, 1), (0, 7), (0, 0)),
        ((1, 2), (0, 0), (-1, 3), (2, 2)),
        ((0, -1), (-2, -1), (5, -4), (0, 0)),
        ((0, 0), (-4, 6), (7, -9), (-1, 1)),  # more cropped than there is
        ((-2, 0), (1, 1), (1, 1), (1, 1)),  # nothing left of the batch
    ],
    ids=str,
)
def test_rule(mode, widths):
    x = integers(0, (2, 3, 5, 2))
    op = partial(jaxconv.pad, widths=widths, mode=mode, value=7)
    reference = partial(jaxconv.reference.pad, widths=widths, mode=mode, value=7)
    dy = integers(1, jax.eval_shape(op, x).shape)
    y, (dx,) = value_and_pullback(op, (x,), dy)
    reference_y, (reference_dx,) = value_and_pullback(reference, (x,), dy)
    np.testing.assert_array_equal(y, reference_y)
    np.testing.assert_array_equal(dx, reference_dx)

    # Position by position, from the map alone.
    want, want_dx = np.full(y.shape, 7.0), np.zeros_like(x)
    for p in np.ndindex(*y.shape):
        q = tuple(
            source(i - low, n, "zeros" if mode == "constant" else mode)
            for i, (low, _), n in zip(p, widths, x.shape, strict=True)
        )
        if None not in q:
            want[p] = x[q]
            want_dx[q] += dy[p]
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(dx, want_dx)


@pytest.mark.parametrize("mode", COPYING)
def test_retract_is_the_transpose(mode):
    """<extend(x), dy> = <x, retract(dy)>, with the corners of two axes counted."""
    widths, axes = [(4, 1), (0, 7)], [1, 2]
    x = integers(0, (2, 3, 5, 2))
    y = extend(x, widths, axes, mode)
    dy = integers(1, y.shape)
    assert np.sum(y * dy) == np.sum(x * retract(dy, widths, axes, mode))


@pytest.mark.parametrize("mode", MODES)
def test_empty_and_scalar(mode):
    x = np.zeros((0, 3, 2))
    y, pull = jax.vjp(partial(jaxconv.pad, widths=[(0, 0), (2, 2), (1, 0)], mode=mode), x)
    assert y.shape == (0, 7, 3)
    assert pull(y)[0].shape == x.shape
    assert jaxconv.pad(np.float64(3.0), [], mode=mode) == 3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.int8, np.uint16])
def test_integers(dtype, mode):
    x = np.arange(5, dtype=dtype)
    y = jaxconv.pad(x, [(2, 3)], mode=mode, value=9)
    assert y.dtype == dtype
    want = jaxconv.pad(x.astype(float), [(2, 3)], mode=mode, value=9)
    np.testing.assert_array_equal(y, want)


def test_saves_nothing():
    _, pull = jax.vjp(partial(jaxconv.pad, widths=[(1, 2)], mode="reflect"), np.ones(3))
    assert jax.tree.leaves(pull) == []
