"""Seed post 002, "Convolutional Neural Network's Backpropagation".

The post convolves as mathematics does, with the kernel upside down: `flip_kernel=True`. It
writes o for the outputs of a layer of units, c for their complete inputs before the
activation, w(x, y) for the kernel between two units, and δ = ∂E/∂c. All values are small
integers held as floats: their sums are exact in any order, and equal means equal.
"""

import functools
import itertools

import jax
import numpy as np
import pytest

import jaxconv
import jaxconv.reference

PADDED = {  # what o(x, y) is left of and above the image
    "zeros": {"padding_mode": "zeros"},
    "wrap-around": {"padding_mode": "circular"},
}


@pytest.fixture(params=[jaxconv, jaxconv.reference], ids=["hand", "autodiff"])
def ops(request):
    return request.param


@pytest.fixture(params=["undefined left out", *PADDED])
def border(request):
    return request.param


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(-4, 5, shape).astype(float) for shape in shapes]


def every(*sizes):
    return itertools.product(*map(range, sizes))


def at(image, x, y, border):
    """i(x, y), also where that is out of bounds."""
    if border == "wrap-around":
        return image[x % image.shape[0], y % image.shape[1]]
    inside = 0 <= x < image.shape[0] and 0 <= y < image.shape[1]
    return image[x, y] if inside else 0.0


def convolve(i, k, border):
    """v(x,y) = Σ i(x−x_k, y−y_k)·k(x_k,y_k)."""
    v = np.zeros(i.shape)
    for x, y in every(*i.shape):
        v[x, y] = sum(at(i, x - a, y - b, border) * k[a, b] for a, b in every(*k.shape))
    # The first values are undefined without a border, and the image moves to the top left.
    return v[k.shape[0] - 1 :, k.shape[1] - 1 :] if border == "undefined left out" else v


def correlate(i, k, border):
    """l(x,y) = Σ i(x+x_k, y+y_k)·k(x_k,y_k); here the last values may be undefined."""
    v = np.zeros(i.shape)
    for x, y in every(*i.shape):
        v[x, y] = sum(at(i, x + a, y + b, border) * k[a, b] for a, b in every(*k.shape))
    rows, columns = (n - m + 1 for n, m in zip(i.shape, k.shape, strict=True))
    return v[:rows, :columns] if border == "undefined left out" else v


def border_arguments(border, size, *, before):
    """The op's keywords for a border of size N_k − 1 before or after the image."""
    if border == "undefined left out":
        return {"padding": "VALID"}
    pair = (size - 1, 0) if before else (0, size - 1)
    return {"padding": (pair, pair), **PADDED[border]}


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _layer(ops, border, convolution, o, w, b):
    keywords = border_arguments(border, w.shape[0], before=convolution)
    return ops.conv(o, w, b, flip_kernel=convolution, **keywords)


def single(ops, border, i, k, *, convolution):
    """The op on one image and one kernel."""
    return np.asarray(
        _layer(ops, border, convolution, i[None, :, :, None], k[:, :, None, None], None)
    )[0, :, :, 0]


@pytest.mark.parametrize("size", [2, 3])
def test_convolution(ops, border, size):
    """v(x,y) = Σ i(x−x_k, y−y_k)·k(x_k,y_k), undefined pixels left out, zero or wrapped."""
    i, k = draw((5, 4), (size, size))
    v = single(ops, border, i, k, convolution=True)
    np.testing.assert_array_equal(v, convolve(i, k, border))


@pytest.mark.parametrize("size", [2, 3])
def test_cross_correlation(ops, border, size):
    """l(x,y) = Σ i(x+x_k, y+y_k)·k(x_k,y_k): undefined at the bottom right instead."""
    i, k = draw((5, 4), (size, size))
    v = single(ops, border, i, k, convolution=False)
    np.testing.assert_array_equal(v, correlate(i, k, border))
    assert not np.array_equal(v, convolve(i, k, border))


def test_valid_result_is_smaller_by_the_kernel_minus_one(ops):
    """The valid pixels begin at (N_k−1, N_k−1), and are moved there to (0, 0)."""
    i, k = draw((5, 4), (3, 3))
    valid = single(ops, "undefined left out", i, k, convolution=True)
    assert valid.shape == (5 - 2, 4 - 2)
    for border in PADDED:  # which only fills in what was undefined
        np.testing.assert_array_equal(single(ops, border, i, k, convolution=True)[2:, 2:], valid)


# A layer of units: o is (x, y, unit n), w is (x, y, unit n, unit m), c is (x, y, unit m).


def complete_input(o, w, b, border):
    """c_m = Σ_n i_{n,m} + b_m, where the single input i_{n,m} is o_n convolved with w_{n,m}."""
    units = range(o.shape[2])
    return np.stack(
        [
            sum(convolve(o[..., n], w[..., n, m], border) for n in units) + b[m]
            for m in range(len(b))
        ],
        axis=-1,
    )


def test_complete_input_of_a_unit(ops, border):
    """Every connection has its own kernel, every unit one bias."""
    o, w, b = draw((5, 4, 3), (2, 2, 3, 2), (2,))
    c = _layer(ops, border, True, o[None], w, b)[0]
    np.testing.assert_array_equal(c, complete_input(o, w, b, border))


@functools.cache
def compiled_error(ops, border):
    """E = ½ Σ (t − o³)² behind two layers, with its gradients.

    The complete inputs enter as nudges of 0 that are added to them: ∂E/∂c is the nudge's.
    """

    def error(weights, nudges, o, t):
        for (w, b), nudge in zip(weights, nudges, strict=True):
            c = _layer(ops, border, True, o[None], w, b)[0] + nudge
            o = ops.relu(c)
        return ops.l2_loss(o, t, reduction="sum")

    return jax.jit(jax.value_and_grad(error, argnums=(0, 1)))


def network(seed):
    """Two layers of units: 2 units feed 3, which feed 2."""
    o, w2, b2, w3, b3 = draw((5, 4, 2), (2, 2, 2, 3), (3,), (2, 2, 3, 2), (2,), seed=seed)
    return o, (w2, b2), (w3, b3)


@pytest.fixture(params=range(2))
def trained(request, ops, border):
    """What the post's sums give layer by layer, E, and its gradients: (dw, db)s and δs."""
    o1, (w2, b2), (w3, b3) = network(request.param)
    c2 = complete_input(o1, w2, b2, border)
    o2 = np.maximum(c2, 0)
    c3 = complete_input(o2, w3, b3, border)
    o3 = np.maximum(c3, 0)
    assert (c3 > 0).any()
    assert (c3 < 0).any()
    (t,) = draw(o3.shape, seed=request.param + 10)
    nudges = [np.zeros_like(c2), np.zeros_like(c3)]
    error, gradients = compiled_error(ops, border)([(w2, b2), (w3, b3)], nudges, o1, t)
    parameters, deltas = jax.tree.map(np.asarray, gradients)
    post = {"o": (o1, o2, o3), "c": (c2, c3), "t": t, "w": (w2, w3), "E": float(error)}
    return post, parameters, deltas


def test_error(trained):
    """E = ½ Σ (t − o)², o the output of the last layer."""
    post, _, _ = trained
    assert post["E"] == 0.5 * np.sum((post["t"] - post["o"][2]) ** 2)


def test_delta_of_the_last_layer(trained):
    """δ = ∂E/∂o · ∂a(c)/∂c with E = ½(t − o)²: −(t − o) where the ReLU let c through."""
    post, _, (_, delta) = trained
    np.testing.assert_array_equal(delta, -(post["t"] - post["o"][2]) * (post["c"][1] > 0))


def test_delta_recursion(trained, border):
    """δ_m = Σ_o Σ δ_o(x+x', y+y')·w_{m,o}(x',y') · ∂a(c_m)/∂c_m, one layer back.

    The sum is a cross-correlation. Without a border δ_o is undefined in as many rows and
    columns as v was, and 0: nothing there ever reached E.
    """
    post, _, (delta2, delta3) = trained
    w, c = post["w"][1], post["c"][0]
    expected = np.zeros_like(c)
    for m in range(c.shape[2]):
        for o in range(w.shape[3]):
            delta = delta3[..., o]
            if border == "undefined left out":
                delta = np.pad(delta, ((w.shape[0] - 1, 0), (w.shape[1] - 1, 0)))
            around = "wrap-around" if border == "wrap-around" else "zeros"
            expected[..., m] += correlate(delta, w[..., m, o], around)
    np.testing.assert_array_equal(delta2, expected * (c > 0))


def test_weight_gradient_is_its_sum(trained, border):
    """∂E/∂w_{n,m}(x,y) = Σ_{x',y'} o_n(x'−x, y'−y)·δ_m(x',y'), at each connection."""
    post, gradients, deltas = trained
    for (dw, _), o, delta in zip(gradients, post["o"], deltas, strict=False):
        first = np.subtract(o.shape[:2], delta.shape[:2])  # the implicit offset, made explicit
        for x, y, n, m in every(*dw.shape):
            total = sum(
                at(o[..., n], first[0] + x_ - x, first[1] + y_ - y, border) * delta[x_, y_, m]
                for x_, y_ in every(*delta.shape[:2])
            )
            assert dw[x, y, n, m] == total


def test_weight_gradient_is_rot180_of_a_correlation(trained, border):
    """∂E/∂w_{n,m} = rot180(o_n ⋆ δ_m) over the valid part of o with its border."""
    post, gradients, deltas = trained
    for (dw, _), o, delta in zip(gradients, post["o"], deltas, strict=False):
        if border != "undefined left out":
            mode = "wrap" if border == "wrap-around" else "constant"
            o = np.pad(o, ((dw.shape[0] - 1, 0), (dw.shape[1] - 1, 0), (0, 0)), mode=mode)
        for n, m in every(*dw.shape[2:]):
            correlation = correlate(o[..., n], delta[..., m], "undefined left out")
            np.testing.assert_array_equal(dw[..., n, m], np.rot90(correlation, 2))


def test_bias_gradient_is_the_sum_of_the_deltas(trained):
    """∂E/∂b_m = Σ_{x,y} δ_m(x,y), as ∂c_m/∂b_m = 1 at every pixel."""
    _, gradients, deltas = trained
    for (_, db), delta in zip(gradients, deltas, strict=True):
        np.testing.assert_array_equal(db, delta.sum(axis=(0, 1)))


@pytest.mark.parametrize("kind", ["average", "maximum"])
def test_pooling_upscales_the_error_as_it_downscaled_the_input(ops, kind):
    """Unweighted pooling: the mean spreads the error, the maximum sends it where it was."""
    pool = {"average": ops.avg_pool, "maximum": ops.max_pool}[kind]
    x = np.random.default_rng(2).permutation(24).astype(float).reshape(1, 4, 6, 1)
    (dy,) = draw((1, 2, 3, 1))
    y, backward = jax.vjp(jax.jit(lambda x: pool(x, 2)), x)
    (dx,) = backward(dy)
    for i, j in every(2, 3):
        rows, columns = slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2)
        part, error = x[0, rows, columns, 0], dy[0, i, j, 0]
        downscaled = part.mean() if kind == "average" else part.max()
        share = np.full((2, 2), 0.25) if kind == "average" else part == part.max()
        assert y[0, i, j, 0] == downscaled
        np.testing.assert_array_equal(dx[0, rows, columns, 0], share * error)


def test_pooling_units_with_a_weight_and_a_bias(ops):
    """The unit's complete input is w·(sum of its window) + b; its gradients are ∂E/∂w = Σ δ·sum,
    ∂E/∂b = Σ δ, and the error goes back upscaled, times w.
    """
    o, w, b, delta = draw((1, 4, 6, 2), (2,), (2,), (1, 2, 3, 2), seed=3)
    c, backward = jax.vjp(jax.jit(lambda o, w, b: ops.subsample(o, w, b, 2)), o, w, b)
    do, dw, db = backward(delta)
    for n in range(2):
        sums = np.zeros((2, 3))
        for i, j in every(2, 3):
            rows, columns = slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2)
            sums[i, j] = o[0, rows, columns, n].sum()
            upscaled = np.full((2, 2), w[n] * delta[0, i, j, n])
            np.testing.assert_array_equal(do[0, rows, columns, n], upscaled)
        np.testing.assert_array_equal(c[0, ..., n], w[n] * sums + b[n])
        assert dw[n] == np.sum(delta[0, ..., n] * sums)
        assert db[n] == np.sum(delta[0, ..., n])
