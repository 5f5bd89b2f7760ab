"""Holding a rule against its twin."""

import functools

import jax
import numpy as np


def assert_close(got, want, what=""):
    """Elementwise: 1e-10 of the wanted value. The data is of order 1, so 1e-13 is rounding."""
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-13, err_msg=what)


def assert_trees_close(got, want, what=""):
    """The same for every leaf of two trees of one structure."""
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for (path, g), w in zip(jax.tree.leaves_with_path(got), jax.tree.leaves(want), strict=True):
        assert g.dtype == w.dtype, f"{what}{jax.tree_util.keystr(path)}"
        if g.dtype != jax.dtypes.float0:
            assert_close(g, w, f"{what}{jax.tree_util.keystr(path)}")


@functools.partial(jax.jit, static_argnums=0)
def value_and_pullback(op, args, dy):
    """y and the cotangents of all args; one compilation for both."""
    y, pull = jax.vjp(op, *args)
    return y, pull(dy)


def normal(seed, shape, dtype=np.float64):
    """Standard normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def integers(seed, shape, limit=3, dtype=np.float64):
    """Whole numbers in [−limit, limit]: sums of their products are exact in any order."""
    return np.random.default_rng(seed).integers(-limit, limit + 1, shape).astype(dtype)
