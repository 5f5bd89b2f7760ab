"""Seed post 001, "Backpropagation in a Convolutional Neural Network".

Images are (m, height, width, channels), as here. Fully connected layers hold an example per
column in the post and per row here. The post divides by m wherever it computes the gradient
of a parameter; here that division belongs to the loss, so it reaches every gradient through
the cotangent. With m = 4 and small integers even that division is exact, and equal means equal.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxconv
import jaxconv.reference

m = 4


@pytest.fixture(params=[jaxconv, jaxconv.reference], ids=["hand", "autodiff"])
def ops(request):
    return request.param


def integers(rng, *shape):
    return rng.integers(-5, 6, shape).astype(float)


@functools.partial(jax.jit, static_argnums=0)
def _value_and_vjp(f, primals, dy):
    y, backward = jax.vjp(f, *primals)
    return y, *backward(dy)


def value_and_vjp(f, *primals_and_cotangent):
    """f(*primals) and its cotangents for dy, the last argument."""
    *primals, dy = primals_and_cotangent
    return tuple(map(np.asarray, _value_and_vjp(f, primals, dy)))


# The convolution layer. A slice that starts at a holds index i + a at its position i.


def pad_of(w, padding):
    return (w.shape[0] - 1) // 2 if padding == "same" else 0


def zeros_around(x, pad):
    return np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))


def post_conv(x, w, bias, padding):
    """Z[i,j,k] = Σ_a Σ_b Σ_c X[i+a,j+b,c] · W[a,b,c,k] + b[k]."""
    x, f = zeros_around(x, pad_of(w, padding)), w.shape[0]
    rows, columns = x.shape[1] - f + 1, x.shape[2] - f + 1
    z = np.zeros((len(x), rows, columns, w.shape[3])) + bias
    for a, b in itertools.product(range(f), repeat=2):
        z += x[:, a : a + rows, b : b + columns] @ w[a, b]
    return z


def post_conv_backward(dz, x, w, padding):
    """The post's dX, and its dW and db times m.

    dW[a,b,c,k] = Σ_m Σ_i Σ_j dZ[i,j,k] · X[i+a,j+b,c]
    db[k]       = Σ_m Σ_i Σ_j dZ[i,j,k]
    dX[i,j,c]   = Σ_k Σ_a Σ_b dZ[i−a,j−b,k] · W[a,b,c,k],     dZ = 0 where it does not exist
    """
    pad, f = pad_of(w, padding), w.shape[0]
    x = zeros_around(x, pad)
    (rows, columns), dz_padded = dz.shape[1:3], zeros_around(dz, f - 1)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for a, b in itertools.product(range(f), repeat=2):
        seen = x[:, a : a + rows, b : b + columns]
        dw[a, b] = np.einsum("mijk,mijc->ck", dz, seen)
        i, j = f - 1 - a, f - 1 - b  # where dZ[−a, −b] is, among its zeros
        dx += dz_padded[:, i : i + x.shape[1], j : j + x.shape[2]] @ w[a, b].T
    return dx[:, pad : x.shape[1] - pad, pad : x.shape[2] - pad], dw, dz.sum((0, 1, 2))


@functools.cache
def compiled_conv(ops, padding):
    return functools.partial(value_and_vjp, functools.partial(ops.conv, padding=padding))


@pytest.fixture(params=itertools.product(["same", "valid"], [3, 5]), ids="{0[0]}-{0[1]}".format)
def layer(request):
    """Padding, x, w, b and dZ of a convolution layer; its output need not be square."""
    padding, f = request.param
    rng = np.random.default_rng(f)
    x, w, b = integers(rng, m, 7, 6, 2), integers(rng, f, f, 2, 3), integers(rng, 3)
    return padding, x, w, b, integers(rng, *post_conv(x, w, b, padding).shape)


def test_conv_forward(ops, layer):
    """The equation of Z[i,j,k], same and valid, with its bias."""
    padding, x, w, b, dz = layer
    z, *_ = compiled_conv(ops, padding)(x, w, b, dz)
    np.testing.assert_array_equal(z, post_conv(x, w, b, padding))


def test_conv_weight_gradient(ops, layer):
    """The equation of ∂J/∂W[a,b,c,k]; the sum over the batch, before its 1/m."""
    padding, x, w, b, dz = layer
    _, _, dw, _ = compiled_conv(ops, padding)(x, w, b, dz)
    np.testing.assert_array_equal(dw, post_conv_backward(dz, x, w, padding)[1])


def test_conv_bias_gradient(ops, layer):
    """The equation of ∂J/∂b[k]; the sum over the batch, before its 1/m."""
    padding, x, w, b, dz = layer
    _, _, _, db = compiled_conv(ops, padding)(x, w, b, dz)
    np.testing.assert_array_equal(db, post_conv_backward(dz, x, w, padding)[2])


def test_conv_input_gradient(ops, layer):
    """The equation of ∂J/∂X[i,j,c], whose indices i−a and j−b may not exist."""
    padding, x, w, b, dz = layer
    _, dx, _, _ = compiled_conv(ops, padding)(x, w, b, dz)
    np.testing.assert_array_equal(dx, post_conv_backward(dz, x, w, padding)[0])


def test_average_over_the_batch_comes_from_the_loss(ops):
    """1/m Σ of the post's dW and db: with J = 1/m Σ_i L_i, our gradient of J has it already."""
    rng = np.random.default_rng(0)
    x, w, b, t = (integers(rng, *s) for s in ((m, 5, 5, 2), (3, 3, 2, 3), (3,), (m, 5, 5, 3)))

    def cost(w, b):
        each = 0.5 * jnp.sum((ops.conv(x, w, b) - t) ** 2, axis=(1, 2, 3))
        return jnp.sum(each) / m

    dw, db = jax.jit(jax.grad(cost, argnums=(0, 1)))(w, b)
    dz = post_conv(x, w, b, "same") - t  # of each L_i alone, as the post counts it
    _, dw_sum, db_sum = post_conv_backward(dz, x, w, "same")
    np.testing.assert_array_equal(dw, 1 / m * dw_sum)
    np.testing.assert_array_equal(db, 1 / m * db_sum)


# ReLU.


def test_relu_gradient_is_one_above_zero_and_zero_elsewhere(ops):
    """ReLU'(x) = 1 for x > 0 and 0 for x < 0."""
    rng = np.random.default_rng(1)
    x, dy = rng.normal(size=(2, m, 5))
    y, dx = value_and_vjp(ops.relu, x, dy)
    np.testing.assert_array_equal(y, np.multiply(x, x > 0))
    np.testing.assert_array_equal(dx, dy * (x > 0))


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_relu_gradient_at_exactly_zero_is_zero(ops, zero):
    """ReLU'(0) is undefined and set to 0."""
    _, dx = value_and_vjp(ops.relu, np.array([zero, 1e-300, -1e-300]), np.array([3.0, 5.0, 7.0]))
    np.testing.assert_array_equal(dx, [0.0, 5.0, 0.0])


# Pooling over 2×2 patches.


def scaled_up(y):
    """Each value four times, over the patch it came from."""
    return np.repeat(np.repeat(y, 2, axis=1), 2, axis=2)


def patches(x):
    """(m, rows, columns, channels, 4): the values of each 2×2 patch."""
    four = [x[:, a::2, b::2] for a, b in itertools.product(range(2), repeat=2)]
    return np.stack(four, axis=-1)


def test_max_pool_routes_the_gradient_to_the_maximum(ops):
    """Derivative 1 for the largest of a patch, 0 for the others: mask · scaled-up gradient."""
    rng = np.random.default_rng(2)
    x, dy = rng.normal(size=(m, 6, 4, 3)), rng.normal(size=(m, 3, 2, 3))
    y, dx = value_and_vjp(lambda x: ops.max_pool(x, 2, ties="all"), x, dy)
    np.testing.assert_array_equal(y, patches(x).max(axis=-1))
    mask = x == scaled_up(patches(x).max(axis=-1))
    assert mask.sum() == y.size
    np.testing.assert_array_equal(dx, mask * scaled_up(dy))


def test_max_pool_gives_the_gradient_to_every_tied_maximum(ops):
    """The mask compares all of a patch with its maximum, so equals win together."""
    rng = np.random.default_rng(3)
    x, dy = rng.integers(0, 3, (m, 6, 4, 3)).astype(float), rng.normal(size=(m, 3, 2, 3))
    x[0, :2, :2] = 1.0  # all four are the maximum
    largest = patches(x).max(axis=-1)
    winners = (patches(x) == largest[..., None]).sum(axis=-1)
    assert set(winners.ravel()) == {1, 2, 3, 4}

    y, dx = value_and_vjp(lambda x: ops.max_pool(x, 2, ties="all"), x, dy)
    np.testing.assert_array_equal(y, largest)
    np.testing.assert_array_equal(dx, (x == scaled_up(largest)) * scaled_up(dy))
    np.testing.assert_array_equal(dx[0, :2, :2], np.tile(dy[0, 0, 0], (2, 2, 1)))


def test_nearly_equal_values_do_not_tie(ops):
    """The post's mask has a tolerance, which pays values that had no part in the output."""
    x = np.array([1.0, 1.0 + 1e-9, 1.0 - 1e-9, 0.0]).reshape(1, 2, 2, 1)
    assert np.isclose(x, x.max()).sum() == 3
    _, dx = value_and_vjp(lambda x: ops.max_pool(x, 2, ties="all"), x, np.full((1, 1, 1, 1), 7.0))
    np.testing.assert_array_equal(dx.ravel(), [0.0, 7.0, 0.0, 0.0])


def test_average_pool(ops):
    """Z = (X11 + X12 + X21 + X22) / 4, and a quarter of the gradient to each of the four.

    The post's code takes its means over other axes than the patch's, and loses the channels.
    """
    rng = np.random.default_rng(4)
    x, dy = integers(rng, m, 6, 4, 3), integers(rng, m, 3, 2, 3)
    y, dx = value_and_vjp(lambda x: ops.avg_pool(x, 2), x, dy)
    X11, X12, X21, X22 = x[:, ::2, ::2], x[:, ::2, 1::2], x[:, 1::2, ::2], x[:, 1::2, 1::2]
    np.testing.assert_array_equal(y, (X11 + X12 + X21 + X22) / 4)
    np.testing.assert_array_equal(dx, 0.25 * scaled_up(dy))


# The fully connected layer: the post's arrays are the transposes of ours.


def test_fully_connected_layer(ops):
    """dW = dZ·Aᵀ, db = Σ dZ, dA = Wᵀ·dZ, with examples in columns and W (out, in)."""
    rng = np.random.default_rng(5)
    A, W, b, dZ = (integers(rng, *s) for s in ((6, m), (3, 6), (3, 1), (3, m)))
    y, dx, dw, db = value_and_vjp(ops.dense, A.T, W.T, b[:, 0], dZ.T)
    np.testing.assert_array_equal(y.T, W @ A + b)
    np.testing.assert_array_equal(dw.T, dZ @ A.T)
    np.testing.assert_array_equal(db, dZ.sum(axis=1))
    np.testing.assert_array_equal(dx.T, W.T @ dZ)


# Softmax and cross-entropy.


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.fixture
def scores():
    """Logits Z, integer labels, and Y with a one at each label."""
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 5, 7)
    return 3 * rng.normal(size=(7, 5)), labels, np.eye(5)[labels]


def test_cost_is_the_mean_cross_entropy(ops, scores):
    """J = −1/m Σ_i Σ_k y_k log ŷ_k (the post's sign is lost in print)."""
    z, labels, one_hot = scores
    expected = -np.sum(one_hot * np.log(softmax(z))) / len(z)
    for y in (labels, one_hot):
        got = jax.jit(ops.softmax_cross_entropy)(z, y)
        np.testing.assert_allclose(got, expected, rtol=1e-13)


@pytest.mark.parametrize("form", ["integers", "one-hot"])
def test_gradient_of_the_cost_is_prediction_minus_label(ops, scores, form):
    """∂J/∂Z = Ŷ − Y, averaged over the batch because J is."""
    z, labels, one_hot = scores
    cost = functools.partial(
        ops.softmax_cross_entropy, labels=labels if form == "integers" else one_hot
    )
    _, dz = value_and_vjp(cost, z, np.float64(-2.5))
    np.testing.assert_allclose(dz, -2.5 * (softmax(z) - one_hot) / len(z), rtol=0, atol=1e-15)


@pytest.mark.parametrize("form", ["integers", "one-hot"])
def test_gradient_of_each_loss_is_prediction_minus_label(ops, scores, form):
    """∂J/∂z[i] = ŷ[i] − y[i] example by example, before any average."""
    z, labels, one_hot = scores
    y = labels if form == "integers" else one_hot
    dy = np.random.default_rng(7).normal(size=len(z))
    losses = functools.partial(ops.softmax_cross_entropy, labels=y, reduction="none")
    _, dz = value_and_vjp(losses, z, dy)
    expected = dy[:, None] * (softmax(z) - one_hot)
    np.testing.assert_allclose(dz, expected, rtol=0, atol=1e-14)


def test_gradient_before_labels_are_known_to_sum_to_one(ops, scores):
    """∂J/∂z_j = −y_j + ŷ_j Σ_k y_k, the step before the last: y need not sum to 1."""
    z, _, _ = scores
    y = np.random.default_rng(8).uniform(size=z.shape)
    losses = functools.partial(ops.softmax_cross_entropy, labels=y, reduction="sum")
    _, dz = value_and_vjp(losses, z, np.float64(1))
    expected = -y + softmax(z) * y.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(dz, expected, rtol=0, atol=1e-14)


@functools.cache
def compiled_prediction(ops):
    """Ŷ of one example and ∂ŷ_m/∂z_j by the op's own rule, from ŷ_m = exp(−loss of label m)."""

    def predict(z):
        repeated = jnp.broadcast_to(z, (z.size, z.size))
        every_label = np.arange(z.size)
        return jnp.exp(-ops.softmax_cross_entropy(repeated, every_label, reduction="none"))

    return jax.jit(lambda z: (predict(z), jax.jacrev(predict)(z)))


@pytest.fixture
def predictions(ops, scores):
    z = scores[0][0]
    y, jacobian = compiled_prediction(ops)(z)
    np.testing.assert_allclose(y, softmax(z), rtol=1e-13)
    return np.asarray(y), np.asarray(jacobian)


def test_softmax_jacobian_of_the_same_node(predictions):
    """Case 1: ∂ŷ_j/∂z_j = ŷ_j(1 − ŷ_j)."""
    y, jacobian = predictions
    for j in range(y.size):
        assert jacobian[j, j] == pytest.approx(y[j] * (1 - y[j]), rel=1e-13, abs=1e-16)


def test_softmax_jacobian_of_another_node(predictions):
    """Case 2: ∂ŷ_m/∂z_j = −ŷ_j·ŷ_m for m ≠ j."""
    y, jacobian = predictions
    for n, j in itertools.permutations(range(y.size), 2):
        assert jacobian[n, j] == pytest.approx(-y[j] * y[n], rel=1e-13, abs=1e-16)


def test_gradient_of_the_cost_is_the_chain_over_all_nodes(ops, scores, predictions):
    """∂J/∂z_j = Σ_k ∂J/∂ŷ_k · ∂ŷ_k/∂z_j with ∂J/∂ŷ_k = −y_k/ŷ_k."""
    z, label, one_hot = (part[0] for part in scores)
    y, jacobian = predictions
    _, dz = value_and_vjp(
        functools.partial(ops.softmax_cross_entropy, labels=label), z, np.float64(1)
    )
    np.testing.assert_allclose(dz, (-one_hot / y) @ jacobian, rtol=1e-13, atol=1e-15)


def test_large_logits_stay_finite(ops):
    """The post subtracts the mean, which does not keep exp from overflowing."""
    z = np.array([[1e4, 0.0, -1e4, 5e3], [0.0, 0.0, 0.0, 1e4]])
    with np.errstate(over="ignore"):
        assert np.isinf(np.exp(z - z.mean(axis=1, keepdims=True))).any()
    losses = functools.partial(ops.softmax_cross_entropy, labels=np.array([3, 3]), reduction="none")
    loss, dz = value_and_vjp(losses, z, np.array([2.0, 3.0]))
    np.testing.assert_array_equal(loss, [5e3, 0.0])
    np.testing.assert_array_equal(dz, [[2.0, 0.0, 0.0, -2.0], [0.0, 0.0, 0.0, 0.0]])


# All of it together.


def post_network_gradients(x, labels, weights, decay):
    """The post's backward pass through its notebook's network, layer by layer.

    Cotangents are those of each example's own loss; every dW and db is averaged by itself,
    and weight decay λ/(2m)·ΣW² adds λ/m·W.
    """
    *convs, (W1, b1), (W2, b2) = weights
    tape = []
    for i, (w, b) in enumerate(convs):
        z = post_conv(x, w, b, "same")
        tape.append((x, z))
        x = np.multiply(z, z > 0)
        if i % 2:
            y = patches(x).max(axis=-1)
            tape.append(x == scaled_up(y))
            x = y
    A0 = x.reshape(m, -1).T
    Z1 = W1.T @ A0 + b1[:, None]
    A1 = np.multiply(Z1, Z1 > 0)
    Z2 = W2.T @ A1 + b2[:, None]

    dZ2 = softmax(Z2.T).T - np.eye(len(Z2))[labels].T
    dZ1 = W2 @ dZ2 * (Z1 > 0)
    gradients = [(A1 @ dZ2.T, dZ2.sum(1)), (A0 @ dZ1.T, dZ1.sum(1))]
    dx = (W1 @ dZ1).T.reshape(x.shape)
    for w, _ in reversed(convs):
        if isinstance(tape[-1], np.ndarray):
            dx = tape.pop() * scaled_up(dx)
        x, z = tape.pop()
        dx, dw, db = post_conv_backward(dx * (z > 0), x, w, "same")
        gradients.append((dw, db))
    return [
        (1 / m * dw + decay / m * w, 1 / m * db)
        for (dw, db), (w, _) in zip(reversed(gradients), weights, strict=True)
    ]


def test_the_network_of_the_notebook():
    """Conv–ReLU twice, pool, twice more, FC–ReLU, softmax; L2 as λ/(2m)·ΣW²; 1/m in the loss.

    The kernels and the depth are the notebook's, the images and channels are smaller.
    """
    rng = np.random.default_rng(9)
    shapes = [(5, 5, 1, 2), (5, 5, 2, 2), (3, 3, 2, 3), (3, 3, 3, 4), (16, 8), (8, 10)]
    weights = [
        (rng.normal(size=s) / np.sqrt(np.prod(s[:-1])), 0.1 * rng.normal(size=s[-1]))
        for s in shapes
    ]
    x, labels, decay = rng.normal(size=(m, 8, 8, 1)), rng.integers(0, 10, m), 2.0

    def cost(weights):
        *convs, fc, last = weights
        y = x
        for i, (w, b) in enumerate(convs):
            y = jaxconv.relu(jaxconv.conv(y, w, b))
            if i % 2:
                y = jaxconv.max_pool(y, 2, ties="all")
        y = jaxconv.relu(jaxconv.dense(y.reshape(m, -1), *fc))
        loss = jaxconv.softmax_cross_entropy(jaxconv.dense(y, *last), labels)
        return loss + decay / (2 * m) * sum(jnp.sum(w**2) for w, _ in weights)

    gradients = jax.jit(jax.grad(cost))(weights)
    expected = post_network_gradients(x, labels, weights, decay)
    for (dw, db), (dw_post, db_post) in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(dw, dw_post, rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(db, db_post, rtol=1e-11, atol=1e-14)
