"""Seed post 000, "Understanding Backpropagation for ConvNets".

A 3×3 input X, a 2×2 kernel W and a 2×2 output Z of one channel, at stride 1. All values are
small integers held as floats: their sums are exact in any order, and equal means equal.
"""

import functools

import jax
import numpy as np
import pytest

import jaxconv
import jaxconv.reference

DRAWS = range(3)


@pytest.fixture(params=[jaxconv, jaxconv.reference], ids=["hand", "autodiff"])
def ops(request):
    return request.param


def draw(seed):
    rng = np.random.default_rng(seed)
    return [rng.integers(-9, 10, shape).astype(float) for shape in ((3, 3), (2, 2), (2, 2))]


@functools.cache
def compiled(ops):
    """Z, dX and dW of the post's layer, whose arrays have no batch and no channels."""

    def run(x, w, dz):
        def layer(x, w):
            y = ops.conv(x[None, :, :, None], w[:, :, None, None], padding="VALID")
            return y[0, :, :, 0]

        z, backward = jax.vjp(layer, x, w)
        return z, *backward(dz)

    return jax.jit(run)


def written_out(X, W, dZ):
    """The three convolutions of the post, one element after the other, in its own names."""
    (X11, X12, X13), (X21, X22, X23), (X31, X32, X33) = X
    (W11, W12), (W21, W22) = W
    (dZ11, dZ12), (dZ21, dZ22) = dZ
    return {
        "Z11": X11 * W11 + X12 * W12 + X21 * W21 + X22 * W22,
        "Z12": X12 * W11 + X13 * W12 + X22 * W21 + X23 * W22,
        "Z21": X21 * W11 + X22 * W12 + X31 * W21 + X32 * W22,
        "Z22": X22 * W11 + X23 * W12 + X32 * W21 + X33 * W22,
        "dW11": X11 * dZ11 + X12 * dZ12 + X21 * dZ21 + X22 * dZ22,
        "dW12": X12 * dZ11 + X13 * dZ12 + X22 * dZ21 + X23 * dZ22,
        "dW21": X21 * dZ11 + X22 * dZ12 + X31 * dZ21 + X32 * dZ22,
        "dW22": X22 * dZ11 + X23 * dZ12 + X32 * dZ21 + X33 * dZ22,
        "dX11": W11 * dZ11,
        "dX12": W12 * dZ11 + W11 * dZ12,
        "dX13": W12 * dZ12,
        "dX21": W21 * dZ11 + W11 * dZ21,
        "dX22": W22 * dZ11 + W21 * dZ12 + W12 * dZ21 + W11 * dZ22,
        "dX23": W22 * dZ12 + W12 * dZ22,
        "dX31": W21 * dZ21,
        "dX32": W22 * dZ21 + W21 * dZ22,
        "dX33": W22 * dZ22,
    }


@pytest.mark.parametrize("element", written_out(np.ones((3, 3)), np.ones((2, 2)), np.ones((2, 2))))
def test_each_element_is_its_written_out_sum(ops, element):
    """Forward Z11 … Z22, weight gradient dW11 … dW22, input gradient dX11 … dX33."""
    array, row, column = element[:-2], int(element[-2]) - 1, int(element[-1]) - 1
    for seed in DRAWS:
        x, w, dz = draw(seed)
        z, dx, dw = compiled(ops)(x, w, dz)
        got = {"Z": z, "dX": dx, "dW": dw}[array][row, column]
        np.testing.assert_array_equal(got, written_out(x, w, dz)[element])


def correlate(image, kernel):
    """Every place where the kernel lies wholly on the image."""
    k = kernel.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(image, (k, k))
    return np.einsum("ijab,ab->ij", windows, kernel)


@pytest.mark.parametrize("seed", DRAWS)
def test_weight_gradient_is_x_correlated_with_dz(ops, seed):
    """dW = X ⋆ dZ, valid: the cotangent is the kernel that slides over the input."""
    x, w, dz = draw(seed)
    _, _, dw = compiled(ops)(x, w, dz)
    np.testing.assert_array_equal(dw, correlate(x, dz))


@pytest.mark.parametrize("seed", DRAWS)
def test_input_gradient_is_rot180_w_full_convolved_with_dz(ops, seed):
    """dX = rot180(W) slid over dZ with one zero all around: the full convolution."""
    x, w, dz = draw(seed)
    _, dx, _ = compiled(ops)(x, w, dz)
    turned = np.rot90(w, 2)
    assert not np.array_equal(turned, w), "this draw cannot tell a turned kernel from W"
    np.testing.assert_array_equal(dx, correlate(np.pad(dz, 1), turned))


@pytest.mark.parametrize("seed", DRAWS)
def test_input_gradient_is_also_the_op_itself_over_padded_dz(ops, seed):
    """The backward pass is a forward pass: conv of dZ, zero padding 1, with rot180(W)."""
    x, w, dz = draw(seed)
    _, dx, _ = compiled(ops)(x, w, dz)
    full = ops.conv(dz[None, :, :, None], w[::-1, ::-1, None, None], padding=1)
    np.testing.assert_array_equal(dx, full[0, :, :, 0])


@pytest.mark.parametrize("seed", DRAWS)
def test_sparse_connections(ops, seed):
    """Figure "Sparse Connections": Z is a dense layer whose 9×4 matrix is mostly zeros.

    Seen so, dX is the matrix times dZ, and each weight gathers dW from the four entries of
    the matrix that share it.
    """
    x, w, dz = draw(seed)
    (a, b), (c, d) = w
    matrix = np.array(
        [  # Z11 Z12 Z21 Z22
            [a, 0, 0, 0],  # X11
            [b, a, 0, 0],  # X12
            [0, b, 0, 0],  # X13
            [c, 0, a, 0],  # X21
            [d, c, b, a],  # X22
            [0, d, 0, b],  # X23
            [0, 0, c, 0],  # X31
            [0, 0, d, c],  # X32
            [0, 0, 0, d],  # X33
        ]
    )
    shared_by = {  # the rows in which a weight stands, column by column
        (0, 0): [0, 1, 3, 4],
        (0, 1): [1, 2, 4, 5],
        (1, 0): [3, 4, 6, 7],
        (1, 1): [4, 5, 7, 8],
    }
    z_dense, backward = jax.vjp(ops.dense, x.reshape(1, 9), matrix)
    dx_dense, d_matrix = map(np.asarray, backward(dz.reshape(1, 4)))

    z, dx, dw = compiled(ops)(x, w, dz)
    np.testing.assert_array_equal(z.ravel(), z_dense[0])
    np.testing.assert_array_equal(dx.ravel(), dx_dense[0])
    for position, rows in shared_by.items():
        np.testing.assert_array_equal(dw[position], d_matrix[rows, range(4)].sum())


@pytest.mark.parametrize(("x", "y"), [(3.0, -4.0), (-2.0, 5.0), (7.0, 0.0)])
def test_neuron_passes_on_upstream_times_local_gradient(ops, x, y):
    """Figure of the neuron: ∂L/∂x = ∂L/∂z · ∂z/∂x and ∂L/∂y = ∂L/∂z · ∂z/∂y.

    The gate is z = x·y, a 1×1 conv: its local gradients are y and x.
    """

    def gate(x, y):
        return ops.conv(x, y)

    pixel = (1, 1, 1, 1)
    upstream = np.full(pixel, 6.0)
    z, backward = jax.vjp(gate, np.full(pixel, x), np.full(pixel, y))
    np.testing.assert_array_equal(z, np.full(pixel, x * y))
    dx, dy = backward(upstream)
    np.testing.assert_array_equal(dx, upstream * y)
    np.testing.assert_array_equal(dy, upstream * x)


@pytest.mark.parametrize("seed", DRAWS)
def test_chain_of_neurons_hands_the_gradient_back_layer_by_layer(ops, seed):
    """The same figure, twice: what a layer receives is what the layer ahead hands back."""
    x, w, _ = draw(seed)
    rng = np.random.default_rng(100 + seed)
    ahead, upstream = (rng.integers(-9, 10, shape).astype(float) for shape in ((4, 3), (1, 3)))

    def whole(x, w):
        y = ops.conv(x[None, :, :, None], w[:, :, None, None], padding="VALID")
        return ops.dense(ops.relu(y).reshape(1, 4), ahead)

    got_dx, got_dw = jax.vjp(whole, x, w)[1](upstream)

    z, _, _ = compiled(ops)(x, w, np.zeros((2, 2)))
    dz = (upstream @ ahead.T).reshape(2, 2) * (np.asarray(z) > 0)
    _, dx, dw = compiled(ops)(x, w, dz)
    np.testing.assert_array_equal(got_dx, dx)
    np.testing.assert_array_equal(got_dw, dw)
