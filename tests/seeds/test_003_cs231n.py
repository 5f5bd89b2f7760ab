"""Seed post 003, "CS231n Backpropagation for convolutional neural network".

Arrays as in the course: x (N, C, H, W), w (F, C, HH, WW), b (F,). The post's setting is
x (4, 3, 5, 5), w (2, 3, 3, 3), pad 1 and stride 1; here the other strides and pads hold too.
Where equality is asked for, the values are small integers held as floats: their sums are
exact in any order. Names such as y21 and w12 are the post's, and count from 1.
"""

import functools
import itertools
import re

import jax
import numpy as np
import pytest

import jaxconv
import jaxconv.reference

STRIDES, PADS = (1, 2, 3), (0, 1, 2)


@pytest.fixture(params=[jaxconv, jaxconv.reference], ids=["hand", "autodiff"])
def ops(request):
    return request.param


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def conv(ops, stride, pad, x, w, b):
    return ops.conv(x, w, b, stride=stride, padding=pad, layout="channels_first")


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def conv_backward(ops, stride, pad, x, w, b, dy):
    """dx, dw, db."""
    return jax.vjp(functools.partial(conv, ops, stride, pad), x, w, b)[1](dy)


def h_out(size, window, pad, stride):
    return (size - window + 2 * pad) // stride + 1


@functools.cache
def setting(stride=1, pad=1):
    """The post's x, w, b, and dy as large as this stride and pad make it."""
    rng = np.random.default_rng(231)
    out = h_out(5, 3, pad, stride)
    shapes = (4, 3, 5, 5), (2, 3, 3, 3), (2,), (4, 2, out, out)
    return [rng.integers(-9, 10, shape).astype(float) for shape in shapes]


def zeros_around(x, pad):
    return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))


def naive(stride, pad, x, w, b, dy):
    """The course's loops: y, dx, dw, db, one window of one filter at a time."""
    xpad, (_, _, HH, WW) = zeros_around(x, pad), w.shape
    y, dxpad, dw, db = np.zeros_like(dy), np.zeros_like(xpad), np.zeros_like(w), np.zeros_like(b)
    for n, f, i, j in np.ndindex(dy.shape):
        window = (n, slice(None), slice(i * stride, i * stride + HH),
                  slice(j * stride, j * stride + WW))  # fmt: skip
        y[n, f, i, j] = np.sum(xpad[window] * w[f]) + b[f]
        dxpad[window] += dy[n, f, i, j] * w[f]
        dw[f] += dy[n, f, i, j] * xpad[window]
        db[f] += dy[n, f, i, j]
    return y, dxpad[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]], dw, db


# Sizes.


def test_output_of_the_setting(ops):
    """H_out = (5 − 3 + 2·1)/1 + 1 = 5, and so for W_out: Y is (4, 2, 5, 5)."""
    x, w, b, _ = setting()
    assert conv(ops, 1, 1, x, w, b).shape == (4, 2, 5, 5)


def test_output_size_formula(ops):
    """H_out = (H − HH + 2P)/S + 1 wherever that is a whole number; W_out has its own."""
    sizes = [
        (H, HH, P, S)
        for H, HH, P, S in itertools.product(range(1, 12), range(1, 6), range(4), range(1, 5))
        if H - HH + 2 * P >= 0 and (H - HH + 2 * P) % S == 0
    ]
    assert len(sizes) > 300
    for (H, HH, P, S), (W, WW, Q, T) in itertools.pairwise(sizes):
        y = jax.eval_shape(
            functools.partial(
                ops.conv, stride=(S, T), padding=((P, P), (Q, Q)), layout="channels_first"
            ),
            jax.ShapeDtypeStruct((4, 3, H, W), float),
            jax.ShapeDtypeStruct((2, 3, HH, WW), float),
        )
        assert y.shape == (4, 2, (H - HH + 2 * P) // S + 1, (W - WW + 2 * Q) // T + 1)


def test_output_size_rounds_down(ops):
    """(5 − 3 + 2·1)/3 + 1 is 2⅓: two windows fit, the rest of the input is not looked at."""
    x, w, b, _ = setting(3, 1)
    assert conv(ops, 3, 1, x, w, b).shape == (4, 2, 2, 2)


# Single elements.


def test_first_entry_of_the_output(ops):
    """output[0,0,0,0] = Σ of the first window of the padded input times the filter, + b."""
    x, w, b, _ = setting()
    y = conv(ops, 1, 1, x, w, b)
    assert y[0, 0, 0, 0] == np.sum(zeros_around(x, 1)[0, :, :3, :3] * w[0]) + b[0]


def test_y21_is_a_dot_product(ops):
    """y21 = Σ_d Σ_i Σ_j xpad[d, 1+i, j] · w[d, i, j], the window one row further down."""
    x, w, b, _ = setting()
    xpad = zeros_around(x, 1)[0]
    y21 = sum(
        xpad[d - 1, (1 + i) - 1, j - 1] * w[0, d - 1, i - 1, j - 1]
        for d in (1, 2, 3)
        for i in (1, 2, 3)
        for j in (1, 2, 3)
    )
    assert conv(ops, 1, 1, x, w, b)[0, 0, 1, 0] == y21 + b[0]


def test_derivative_of_y21_for_x11(ops):
    """dy21/dx11 = w12, found by asking for the gradient of y21 alone."""
    x, w, b, dy = setting()
    y21 = np.zeros_like(dy)
    y21[0, 0, 1, 0] = 1
    dx, _, _ = conv_backward(ops, 1, 1, x, w, b, y21)
    np.testing.assert_array_equal(dx[0, :, 0, 0], w[0, :, 0, 1])


# Which window i sees row 1 of x, and with which row a of its kernel? With i and a from 0 and
# row 0 of x at row p of the padded input, s·i + a = p, so a = p − s·i if that is 0, 1 or 2:
#
#            p = 0      p = 1           p = 2
#   s = 1    i=0 a=0    i=0 a=1         i=0 a=2    i=1 a=1    i=2 a=0
#                       i=1 a=0
#   s = 2    i=0 a=0    i=0 a=1         i=0 a=2    i=1 a=0
#   s = 3    i=0 a=0    i=0 a=1         i=0 a=2
#
# Columns do the same on their own, so the terms of dL/dx11 are all pairs of a row and a column.
DL_DX11 = {
    (1, 0): "dy11·w11",
    (1, 1): "dy11·w22 + dy12·w21 + dy21·w12 + dy22·w11",
    (1, 2): "dy11·w33 + dy12·w32 + dy13·w31"
    " + dy21·w23 + dy22·w22 + dy23·w21"
    " + dy31·w13 + dy32·w12 + dy33·w11",
    (2, 0): "dy11·w11",
    (2, 1): "dy11·w22",
    (2, 2): "dy11·w33 + dy12·w31 + dy21·w13 + dy22·w11",
    (3, 0): "dy11·w11",
    (3, 1): "dy11·w22",
    (3, 2): "dy11·w33",
}

# The same for x33, in the middle: a = 2 + p − s·i.
#
#            p = 0      p = 1           p = 2
#   s = 1    i=0 a=2    i=1 a=2         i=2 a=2
#            i=1 a=1    i=2 a=1         i=3 a=1
#            i=2 a=0    i=3 a=0         i=4 a=0
#   s = 2    i=0 a=2    i=1 a=1         i=1 a=2
#            i=1 a=0                    i=2 a=0
#   s = 3    i=0 a=2    i=1 a=0         i=1 a=1
DL_DX33 = {
    (1, 0): "dy11·w33 + dy12·w32 + dy13·w31"
    " + dy21·w23 + dy22·w22 + dy23·w21"
    " + dy31·w13 + dy32·w12 + dy33·w11",
    (1, 1): "dy22·w33 + dy23·w32 + dy24·w31"
    " + dy32·w23 + dy33·w22 + dy34·w21"
    " + dy42·w13 + dy43·w12 + dy44·w11",
    (1, 2): "dy33·w33 + dy34·w32 + dy35·w31"
    " + dy43·w23 + dy44·w22 + dy45·w21"
    " + dy53·w13 + dy54·w12 + dy55·w11",
    (2, 0): "dy11·w33 + dy12·w31 + dy21·w13 + dy22·w11",
    (2, 1): "dy22·w22",
    (2, 2): "dy22·w33 + dy23·w31 + dy32·w13 + dy33·w11",
    (3, 0): "dy11·w33",
    (3, 1): "dy22·w11",
    (3, 2): "dy22·w22",
}


def evaluate(terms, dy, w):
    """A sum such as "dy11·w22 + dy12·w21", over one example's dy and one filter's slice."""
    total = 0.0
    for term in terms.split(" + "):
        i, j, a, c = (int(digit) - 1 for digit in re.fullmatch(r"dy(.)(.)·w(.)(.)", term).groups())
        total += dy[i, j] * w[a, c]
    return total


@pytest.mark.parametrize(("stride", "pad"), DL_DX11)
@pytest.mark.parametrize(("position", "table"), [(0, DL_DX11), (2, DL_DX33)], ids=["x11", "x33"])
def test_input_gradient_is_its_element_sum(ops, position, table, stride, pad):
    """dL/dx11 = dy11·w22 + dy12·w21 + dy21·w12 + dy22·w11, and its like elsewhere.

    Each filter adds such a sum; each channel of x and each example has its own.
    """
    x, w, b, dy = setting(stride, pad)
    dx, _, _ = conv_backward(ops, stride, pad, x, w, b, dy)
    for n, c in itertools.product(range(4), range(3)):
        filters = (evaluate(table[stride, pad], dy[n, f], w[f, c]) for f in range(2))
        assert dx[n, c, position, position] == sum(filters)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("pad", PADS)
def test_all_gradients_are_the_naive_loops(ops, stride, pad):
    """Forward pass, dx, dw and db at strides and pads for which the post's own loop is wrong."""
    x, w, b, dy = setting(stride, pad)
    y, dx, dw, db = naive(stride, pad, x, w, b, dy)
    np.testing.assert_array_equal(conv(ops, stride, pad, x, w, b), y)
    for got, expected in zip(
        conv_backward(ops, stride, pad, x, w, b, dy), (dx, dw, db), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


# The course's own checks.


def rel_error(x, y):
    return np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y)))


def central_differences(f, x, dy, h):
    """Σ dy · (f(x + h) − f(x − h)) / 2h, one element of x at a time."""
    dx = np.zeros_like(x)
    for position in np.ndindex(x.shape):
        nudge = np.zeros_like(x)
        nudge[position] = h
        dx[position] = np.sum((np.asarray(f(x + nudge)) - f(x - nudge)) * dy) / (2 * h)
    return dx


@pytest.mark.parametrize(("stride", "pad"), [(1, 1), (2, 1), (3, 2)])
def test_conv_against_central_differences(ops, stride, pad):
    """Relative error at most 1e-8 for dx, dw and db.

    A convolution is linear in each argument, so central differences have no truncation
    error, and a wide step keeps the rounding error small.
    """
    rng = np.random.default_rng(231)
    x, w, b, dy = (rng.normal(size=array.shape) for array in setting(stride, pad))
    forward = functools.partial(conv, ops, stride, pad)
    dx, dw, db = conv_backward(ops, stride, pad, x, w, b, dy)
    h = 0.1
    assert rel_error(dx, central_differences(lambda x: forward(x, w, b), x, dy, h)) <= 1e-8
    assert rel_error(dw, central_differences(lambda w: forward(x, w, b), w, dy, h)) <= 1e-8
    assert rel_error(db, central_differences(lambda b: forward(x, w, b), b, dy, h)) <= 1e-8


@functools.partial(jax.jit, static_argnums=0)
def max_pool(ops, x):
    return ops.max_pool(x, 2, stride=2, layout="channels_first")


@functools.partial(jax.jit, static_argnums=0)
def max_pool_backward(ops, x, dy):
    return jax.vjp(functools.partial(max_pool, ops), x)[1](dy)[0]


def naive_max_pool_backward(x, dy):
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dy.shape):
        window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        row, column = np.unravel_index(np.argmax(window), window.shape)
        dx[n, c, 2 * i + row, 2 * j + column] += dy[n, c, i, j]
    return dx


def test_max_pool_against_the_naive_loop(ops):
    """Relative error at most 1e-12 for dx of a 2×2 pool of stride 2."""
    rng = np.random.default_rng(231)
    x, dy = rng.normal(size=(3, 2, 8, 8)), rng.normal(size=(3, 2, 4, 4))
    assert rel_error(max_pool_backward(ops, x, dy), naive_max_pool_backward(x, dy)) <= 1e-12


def test_max_pool_against_central_differences(ops):
    """The course's numerical check, on its random input and with its step.

    Rounding y by ~2e-16 is an error of ~1e-11 in a quotient over 2e-5: 1e-12 is out of reach.
    """
    rng = np.random.default_rng(231)
    x, dy = rng.normal(size=(3, 2, 8, 8)), rng.normal(size=(3, 2, 4, 4))
    numerical = central_differences(functools.partial(max_pool, ops), x, dy, 1e-5)
    assert rel_error(max_pool_backward(ops, x, dy), numerical) <= 1e-9


def test_max_pool_against_exact_central_differences(ops):
    """Relative error at most 1e-12 numerically too, where nothing is rounded.

    The values are different integers and the step is ¼: no maximum changes, and every
    difference is a fraction that a float holds exactly.
    """
    rng = np.random.default_rng(231)
    x = rng.permutation(3 * 2 * 8 * 8).astype(float).reshape(3, 2, 8, 8)
    dy = rng.normal(size=(3, 2, 4, 4))
    numerical = central_differences(functools.partial(max_pool, ops), x, dy, 0.25)
    assert rel_error(max_pool_backward(ops, x, dy), numerical) <= 1e-12
