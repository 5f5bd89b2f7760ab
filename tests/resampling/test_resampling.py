"""Resampling: definitions, transposes, and who else computes the same."""

import itertools
from fractions import Fraction
from functools import partial

import jax
import jax.numpy as jnp
import naive
import numpy as np
import pytest
from rules import assert_close, integers, normal, value_and_pullback

import jaxconv
from jaxconv import reference

LAYOUTS = ["channels_last", "channels_first"]
LINEAR = {"method": "linear"}


def images(seed, size, channels=2, layout="channels_last"):
    """Whole numbers."""
    return naive.from_last(integers(seed, (3, *size, channels), 9), layout)


EXACT = {  # calls whose weights are whole or halves, quarters, …: their sums are exact
    "unfold": (jaxconv.unfold, {"window": (2, 3), "stride": (1, 2), "padding": (1, 4)}),
    "unfold slices": (jaxconv.unfold, {"window": (2, 3), "padding": ((1, 0), (2, 3))}),
    "unfold many": (jaxconv.unfold, {"window": (5, 13), "padding": ((3, 1), (2, 6))}),
    "unfold dilated": (jaxconv.unfold, {"window": 3, "dilation": (1, 2), "padding": "SAME"}),
    "upsample": (jaxconv.upsample, {"factor": (3, 5)}),
    "upsample linear": (jaxconv.upsample, {"factor": (2, 4), **LINEAR}),
    "resize": (jaxconv.resize, {"size": (7, 5)}),
    "resize linear": (jaxconv.resize, {"size": (2, 16), **LINEAR}),
    "resize corners": (jaxconv.resize, {"size": (7, 8), **LINEAR, "align_corners": True}),
    "resize to one": (jaxconv.resize, {"size": 1, **LINEAR, "align_corners": True}),
    "pixel_unshuffle": (jaxconv.pixel_unshuffle, {"factor": (2, 4)}),
    "pixel_shuffle": (jaxconv.pixel_shuffle, {"factor": (2, 1)}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", EXACT)
def test_transposes(name, layout):
    """⟨f(x), dy⟩ = ⟨x, dx⟩, to the last bit."""
    f, options = EXACT[name]
    x = images(0, (4, 8), layout=layout)
    f = partial(f, **options, layout=layout)
    dy = integers(1, jax.eval_shape(f, x).shape, 9)
    y, (dx,) = value_and_pullback(f, (x,), dy)
    assert np.any(dx)
    assert np.sum(y * dy) == np.sum(x * dx)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fold_and_unfold_are_each_others_rule(layout):
    options = {"window": (3, 2), "stride": (2, 1), "padding": ((1, 2), (0, 3)), "layout": layout}
    x = images(0, (5, 7), layout=layout)
    unfold = partial(jaxconv.unfold, **options)
    fold = partial(jaxconv.fold, output_size=(5, 7), **options)
    y, pull = jax.vjp(unfold, x)
    back, unpull = jax.vjp(fold, y)
    np.testing.assert_array_equal(pull(y)[0], back)
    np.testing.assert_array_equal(unpull(x)[0], y)
    # fold of unfold counts the windows that saw a value
    np.testing.assert_array_equal(back, x * fold(unfold(jnp.ones_like(x))))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(11,), (6, 7), (3, 5, 4)], ids=len)
def test_one_product_after_unfold_is_the_convolution(size, layout):
    dims, c_out = len(size), 4
    window = (2, 3, 1)[:dims]
    options = {"stride": (2, 1, 3)[:dims], "padding": "SAME", "layout": layout}
    x = images(0, size, layout=layout)
    if layout == "channels_last":
        w = integers(1, (*window, 2, c_out))
        product = jaxconv.unfold(x, window, **options) @ w.reshape(-1, c_out)
    else:
        w = integers(1, (c_out, 2, *window))
        product = w.reshape(c_out, -1) @ jaxconv.unfold(x, window, **options)
    y = jaxconv.conv(x, w, **options)
    np.testing.assert_array_equal(product.reshape(y.shape), y)


def test_rows_of_unfold():
    """Offsets before channels, or the other way round; row-major positions and offsets."""
    x = np.arange(12.0).reshape(1, 2, 3, 2)  # channel 0 is even, channel 1 odd
    want = [[0, 1, 2, 3, 6, 7, 8, 9], [2, 3, 4, 5, 8, 9, 10, 11]]
    assert jaxconv.unfold(x, 2)[0].tolist() == want
    x = np.moveaxis(x, -1, 1)
    want = [[0, 2], [2, 4], [6, 8], [8, 10], [1, 3], [3, 5], [7, 9], [9, 11]]
    assert jaxconv.unfold(x, 2, layout="channels_first")[0].tolist() == want


def row(x):
    """One example of one channel."""
    return jnp.asarray(x)[None, :, None]


SIZES = [*itertools.product(range(1, 8), range(1, 10)), (64, 9), (9, 64), (1, 40), (40, 1)]


@pytest.mark.parametrize("align_corners", [False, True])
def test_linear_is_the_line_through_the_pixels(align_corners):
    for n, o in SIZES:
        x, i = normal(n, (n,)), np.arange(o)
        place = i * (n - 1) / max(o - 1, 1) if align_corners else (i + 0.5) * n / o - 0.5
        y = jaxconv.resize(row(x), o, method="linear", align_corners=align_corners)
        assert_close(y[0, :, 0], np.interp(place, np.arange(n), x), f"{n} to {o}")


@pytest.mark.parametrize("n", [*range(1, 12), 1000, 4095])
def test_nearest_floor_takes_the_pixel_at_the_start(n):
    """As PyTorch's mode "nearest" is meant, which computes it in floats."""
    for o in (1, 2, 3, 7, n, 3 * n, 2 * n + 1, 1001):
        y = jaxconv.resize(row(np.arange(float(n))), o, method="nearest_floor")[0, :, 0]
        np.testing.assert_array_equal(y, [i * n // o for i in range(o)], f"{n} to {o}")


@pytest.mark.parametrize("n", [*range(1, 12), 1000, 4095])
def test_nearest_takes_the_pixel_under_the_middle(n):
    """In whole numbers: rounding moves no pixel, however large the image."""
    for o in (1, 2, 3, 7, n, 3 * n, 2 * n + 1, 1001):
        y = jaxconv.resize(row(np.arange(float(n))), o)[0, :, 0]
        want = [int((i + Fraction(1, 2)) * n / o) for i in range(o)]
        np.testing.assert_array_equal(y, want, f"{n} to {o}")


@pytest.mark.parametrize("method", ["nearest", "linear"])
@pytest.mark.parametrize("size", [(8, 3), (3, 11), (2, 2), (5, 7)], ids=str)
def test_as_jax_without_averaging(size, method):
    x = normal(0, (2, 5, 7, 3))
    theirs = partial(jax.image.resize, shape=(2, *size, 3), method=method, antialias=False)
    ours = partial(jaxconv.resize, size=size, method=method)
    dy = normal(1, (2, *size, 3))
    (y, (dx,)), (y2, (dx2,)) = (value_and_pullback(op, (x,), dy) for op in (ours, theirs))
    # Its weights are float32.
    np.testing.assert_allclose(y, y2, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(dx, dx2, rtol=1e-6, atol=1e-6)


def test_known_resizings():
    x = images(0, (6, 8))
    for factor in (1, 2, (3, 2)):
        rows, columns = (factor, factor) if isinstance(factor, int) else factor
        y = jaxconv.upsample(x, factor)
        np.testing.assert_array_equal(y, x.repeat(rows, 1).repeat(columns, 2))
        for method in ("nearest", "linear"):
            np.testing.assert_array_equal(
                jaxconv.upsample(x, factor, method=method),
                jaxconv.resize(x, (6 * rows, 8 * columns), method=method),
            )
    half = jaxconv.resize(x, (3, 4), method="linear")
    np.testing.assert_array_equal(half, jaxconv.avg_pool(x, 2))
    corners = jaxconv.resize(x, (11, 15), method="linear", align_corners=True)
    np.testing.assert_array_equal(corners[:, ::2, ::2], x)


@pytest.mark.parametrize(
    "op",
    [
        partial(jaxconv.upsample, factor=1),
        partial(jaxconv.upsample, factor=1, method="linear"),
        partial(jaxconv.resize, size=(2, 3)),
        partial(jaxconv.resize, size=(2, 3), method="linear"),
        partial(jaxconv.resize, size=(2, 3), method="linear", align_corners=True),
        partial(jaxconv.pixel_shuffle, factor=1),
        partial(jaxconv.pixel_unshuffle, factor=1),
        lambda x: jaxconv.unfold(x, 1).reshape(x.shape),
    ],
)
def test_nothing_changes(op):
    """Not even NaN, ∞ or the largest number, on the way there or back."""
    x = np.array([[np.nan, 1, -np.inf], [0, np.finfo(float).max, np.inf]])[None, ..., None]
    y, pull = jax.vjp(op, x)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(pull(x)[0], x)


@pytest.mark.parametrize("method", ["nearest", "linear"])
@pytest.mark.parametrize("o", [2, 4, 5, 13])
def test_infinite_cotangents_reach_what_had_a_weight(o, method):
    op = partial(jaxconv.resize, size=o, method=method)
    weights = jax.jacobian(lambda x: op(row(x))[0, :, 0])(jnp.zeros(5))
    for i in range(o):
        dx = jax.vjp(op, row(np.zeros(5)))[1](row(np.where(np.arange(o) == i, np.inf, 1.0)))[0]
        np.testing.assert_array_equal(np.isinf(dx[0, :, 0]), weights[i] != 0)
        assert not np.isnan(dx).any()


@pytest.mark.parametrize(("size", "factor"), [((5,), 3), ((2, 3), (2, 1)), ((2, 1, 3), (1, 3, 2))])
def test_pixels(size, factor):
    """Channel c·Πr + a is offset a of channel c: from the definition, in both layouts."""
    factors = (factor,) if isinstance(factor, int) else factor
    offsets = int(np.prod(factors))
    x = images(0, size, 2 * offsets)
    y = jaxconv.pixel_shuffle(x, factor)
    for p, (flat, a), c in itertools.product(
        np.ndindex(*size), enumerate(np.ndindex(*factors)), range(2)
    ):
        q = tuple(r * i + j for r, i, j in zip(factors, p, a, strict=True))
        channel = c * offsets + flat
        np.testing.assert_array_equal(y[(slice(None), *q, c)], x[(slice(None), *p, channel)])
    first = jaxconv.pixel_shuffle(np.moveaxis(x, -1, 1), factor, layout="channels_first")
    np.testing.assert_array_equal(first, np.moveaxis(y, -1, 1))
    np.testing.assert_array_equal(jaxconv.pixel_unshuffle(y, factor), x)
    first = jaxconv.pixel_unshuffle(first, factor, layout="channels_first")
    np.testing.assert_array_equal(first, np.moveaxis(x, -1, 1))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_16_bit_gradients_are_summed_in_float32(dtype):
    """Ones over a tile of 65 × 65: a 16-bit sum would stop at 256 or 2,048."""
    x = jnp.ones((1, 1, 1, 1), dtype)
    want = jnp.asarray(65 * 65).astype(dtype)
    for op in (
        partial(jaxconv.upsample, factor=65),
        partial(jaxconv.resize, size=65, method="linear"),
        partial(jaxconv.unfold, window=65, padding=64),
    ):
        y, pull = jax.vjp(op, x)
        assert pull(jnp.ones_like(y))[0] == want


@pytest.mark.parametrize("name", EXACT)
def test_saves_nothing(name):
    f, options = EXACT[name]
    _, pull = jax.vjp(partial(f, **options), images(0, (4, 8)))
    assert jax.tree.leaves(pull) == []


@pytest.mark.parametrize("name", EXACT)
def test_cotangents_may_come_from_numpy(name):
    f, options = EXACT[name]
    y, pull = jax.vjp(partial(f, **options), images(0, (4, 8)))
    np.testing.assert_array_equal(pull(np.asarray(y))[0], pull(y)[0])


@pytest.mark.parametrize("op", ["pixel_shuffle", "pixel_unshuffle"])
def test_an_image_without_positions_stays_without(op):
    x = jnp.zeros((1, 0, 4, 4))
    (y, pull), (want, pull_want) = (
        jax.vjp(lambda x, ops=ops: getattr(ops, op)(x, 2), x) for ops in (jaxconv, reference)
    )
    assert y.shape == want.shape
    assert y.size == 0
    assert pull(y)[0].shape == pull_want(want)[0].shape == x.shape
