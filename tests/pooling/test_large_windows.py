"""Windows of many offsets, which go another way than small ones: same values, same ties."""

from functools import partial

import jax
import jax.numpy as jnp
import naive
import numpy as np
import pytest
from rules import assert_close, normal

import jaxconv

GEOMETRIES = {
    "overlap": ((13, 14), {"window": (9, 10), "stride": (2, 1), "padding": ((4, 3), (5, 0))}),
    "side by side": (
        (10, 20),
        {"window": (9, 10), "padding": ((4, 3), (5, 0)), "ceil_mode": True},
    ),
    "side by side in one dimension": (
        (9, 9, 9),
        {"window": (3, 4, 7), "stride": (1, 2, 7), "padding": 1},
    ),
    "stepping over x": (
        (4, 4),
        {"window": (9, 8), "stride": 1, "dilation": 3, "padding": ((12, 12), (10, 11))},
    ),
    "one window": ((8, 9), {"window": (8, 9)}),
    "long": ((90,), {"window": (70,), "stride": 1, "padding": ((30, 35),)}),
    "long, tiles and a part": (
        (150,),
        {"window": (75,), "stride": (10,), "padding": ((30, 7),), "ceil_mode": True},
    ),
    "long, few tiles": ((150,), {"window": (75,), "stride": (35,), "padding": ((37, 0),)}),
    "long, odd stride": ((120,), {"window": (64,), "stride": (3,), "padding": ((10, 30),)}),
    "long, gaps": (
        (400,),
        {"window": (140,), "stride": (150,), "padding": 20, "ceil_mode": True},
    ),
    "long, a tile and a part": ((300,), {"window": (140,), "stride": (80,), "padding": 70}),
    "long, dilated": ((100,), {"window": (35,), "stride": 1, "dilation": 3, "padding": 50}),
    "long, holes": ((110,), {"window": (33,), "stride": (4,), "dilation": 3, "padding": 20}),
    "long, stepping over x": ((5,), {"window": (40,), "stride": 1, "dilation": 5, "padding": 98}),
    "long, one window": ((50,), {"window": (50,), "stride": 7}),
    "long in two dimensions": (
        (37, 40),
        {"window": (34, 36), "stride": (2, 1), "padding": ((2, 0), (0, 3))},
    ),
    "long beside short": (
        (6, 60),
        {"window": (3, 40), "stride": (2, 3), "padding": ((1, 0), (9, 9))},
    ),
}


def inputs(kind, shape):
    rng = np.random.default_rng(0)
    x = rng.integers(-1, 2, shape).astype(float)
    if kind == "with NaN":
        return np.where(rng.random(shape) < 0.03, np.nan, x)
    return np.where(rng.random(shape) < 0.9, -np.inf, x) if kind == "mostly −∞" else x


def shares(x, ties, *, window, **geometry):
    """The matrix of shares of an image without batch and channels, by the definition."""
    dims = len(window)
    given = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, **geometry}
    for name in ("stride", "dilation"):
        if isinstance(given[name], int):
            given[name] = (given[name],) * dims
    rows = []
    for _, places, _ in naive.windows(x.shape, window, **given):
        row = np.zeros(x.size)
        inside = [p for p in places if all(0 <= q < n for q, n in zip(p, x.shape, strict=True))]
        values = np.array([x[p] for p in inside])
        largest = np.isnan(values) if np.isnan(values).any() else values == values.max(initial=-9e9)
        if len(values) and not largest.any():
            largest = values == -np.inf
        winners = np.flatnonzero(largest)[: 1 if ties == "first" else None]
        for w in winners:
            share = 1 / len(winners) if ties == "split" else 1
            row[np.ravel_multi_index(inside[w], x.shape)] = share
        rows.append(row)
    return np.stack(rows)


@pytest.mark.thorough
@pytest.mark.parametrize("ties", ["first", "all", "split"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_gradient_and_curvature(name, ties):
    shape, geometry = GEOMETRIES[name]
    v = normal(2, shape)

    def op(x):
        return jaxconv.max_pool(x[None, ..., None], ties=ties, **geometry).reshape(-1)

    @jax.jit  # once for all kinds of inputs
    def everything(x, v, dy):
        y, pull = jax.vjp(op, x)
        gradient = jax.grad(lambda x: jnp.sum(dy * jnp.sin(op(x))))
        forward = jax.jvp(gradient, (x,), (v,))[1]
        reverse = jax.grad(lambda x: jnp.vdot(gradient(x), v))(x)
        return y, pull(dy)[0], forward, reverse

    for kind in ("full of ties", "with NaN", "mostly −∞"):
        x = inputs(kind, shape)
        share = shares(x, ties, **geometry)
        dy = normal(1, len(share))
        y, dx, *curved = everything(x, v, dy)
        assert_close(dx.reshape(-1), share.T @ dy, f"{kind}: ")
        if kind == "full of ties":
            for got in curved:
                want = share.T @ (-dy * np.sin(y) * (share @ v.reshape(-1)))
                assert_close(got.reshape(-1), want)


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("kind", ["full of ties", "with NaN", "mostly −∞"])
def test_indices_are_where_the_gradient_goes(name, kind):
    shape, geometry = GEOMETRIES[name]
    x = inputs(kind, shape)
    y, indices = jaxconv.max_pool_with_indices(x[None, ..., None], **geometry)
    share = shares(x, "first", **geometry)
    want = np.where(share.any(axis=1), share.argmax(axis=1), -1)
    assert indices.dtype == np.int32
    assert indices.ravel().tolist() == want.tolist()
    held = np.append(x.ravel(), -np.inf)[want]  # −1 is the last
    np.testing.assert_array_equal(y.ravel(), held)


@pytest.mark.parametrize("ties", ["first", "all", "split"])
@pytest.mark.parametrize("stride", [28, 14])
def test_what_is_compiled_does_not_grow_with_the_window(ties, stride):
    """One view for each of 784 offsets took a minute to compile."""
    pool = partial(jaxconv.max_pool, window=28, stride=stride, ties=ties)
    x = jnp.zeros((2, 56, 56, 3))
    program = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(pool(x))))).lower(x).as_text()
    assert program.count(" = ") < 4 * 784
