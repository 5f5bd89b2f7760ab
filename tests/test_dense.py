"""dense."""

import jax
import numpy as np
import pytest
from rules import assert_trees_close, integers, normal, value_and_pullback

import jaxconv
import jaxconv.reference


@pytest.mark.parametrize("leading", [(), (3,), (2, 5), (0,), (2, 0, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_rule(leading, bias):
    shapes = [(*leading, 7), (7, 4), *([(4,)] if bias else [])]

    # Whole numbers: exact, so equal to sums written out over a flat batch.
    args = tuple(integers(i, shape) for i, shape in enumerate(shapes))
    dy = integers(9, (*leading, 4))
    y, (dx, dw, *db) = value_and_pullback(jaxconv.dense, args, dy)
    x, w = args[0].reshape(-1, 7), args[1]
    flat = dy.reshape(-1, 4)
    np.testing.assert_array_equal(y.reshape(-1, 4), x @ w + (args[2] if bias else 0))
    np.testing.assert_array_equal(dx.reshape(-1, 7), flat @ w.T)
    np.testing.assert_array_equal(dw, x.T @ flat)
    if bias:
        np.testing.assert_array_equal(db[0], flat.sum(0))

    args = tuple(normal(i, shape) for i, shape in enumerate(shapes))
    dy = normal(9, (*leading, 4))
    reference = value_and_pullback(jaxconv.reference.dense, args, dy)
    assert_trees_close(value_and_pullback(jaxconv.dense, args, dy), reference)


@pytest.mark.parametrize("perturbed", ["x", "w", "b"])
def test_saves_only_what_the_wanted_gradients_need(perturbed):
    arrays = {"x": normal(0, (3, 7)), "w": normal(1, (7, 4)), "b": normal(2, (4,))}
    _, pull = jax.vjp(
        lambda value: jaxconv.dense(**{**arrays, perturbed: value}), arrays[perturbed]
    )
    saved = {leaf.shape for leaf in jax.tree.leaves(pull) if leaf.size}
    assert saved == {"x": {(7, 4)}, "w": {(3, 7)}, "b": set()}[perturbed]
