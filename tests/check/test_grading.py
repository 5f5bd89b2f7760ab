"""`check_backward`: what a student wrote in NumPy, with loops, is tried and explained."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxconv.check import check_backward

X = np.random.default_rng(0).integers(0, 5, (4, 4)).astype(float)
W = np.array([[1.0, 2.0], [3.0, 4.0]])


def forward(X, W, stride=1):
    k = W.shape[0]
    size = (X.shape[0] - k) // stride + 1
    Z = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            Z[i, j] = np.sum(X[i * stride : i * stride + k, j * stride : j * stride + k] * W)
    return Z


def backward(dZ, X, W, stride=1):
    k = W.shape[0]
    dX, dW = np.zeros_like(X), np.zeros_like(W)
    for i in range(dZ.shape[0]):
        for j in range(dZ.shape[1]):
            window = (slice(i * stride, i * stride + k), slice(j * stride, j * stride + k))
            dX[window] += dZ[i, j] * W
            dW += dZ[i, j] * X[window]
    return dX, dW


@pytest.mark.parametrize("args", [(X, W), (X, W, 2)])
def test_right_loops_pass(args):
    report = check_backward(forward, backward, args)
    assert report.ok, report
    assert report.checks > 10


def test_the_first_wrong_element_is_written_out():
    def assigned(dZ, X, W):
        dX, dW = backward(dZ, X, W)
        dX[:] = 0
        for i in range(dZ.shape[0]):
            for j in range(dZ.shape[1]):
                dX[i : i + 2, j : j + 2] = dZ[i, j] * W
        return dX, dW

    report = check_backward(forward, assigned, (X, W))
    assert [f.argument for f in report.failures] == ["X"]
    assert report.failures[0].diagnosis.name == "last_window_only"
    (note,) = report.notes
    assert note == (
        "the first wrong element of dX, with whole numbers for dy: dX[0,1] = dy[0,0]·W[0,1] +"
        " dy[0,1]·W[0,0] = 3·2 + 3·1 = 9, but backward returns 3"
    )
    assert "defined in test_grading.py:" in str(report)


MISTAKES = {
    "spatially_flipped": lambda dZ, X, W, s: (backward(dZ, X, W[::-1, ::-1], s)[0],
                                              backward(dZ, X, W, s)[1]),
    "wrong_sign": lambda dZ, X, W, s: (backward(dZ, X, W, s)[0], -backward(dZ, X, W, s)[1]),
    "constant_factor": lambda dZ, X, W, s: (backward(dZ, X, W, s)[0] / X.shape[0],
                                            backward(dZ, X, W, s)[1]),
    "cotangent_ignored": lambda dZ, X, W, s: backward(np.ones_like(dZ), X, W, s),
    "axes_swapped": lambda dZ, X, W, s: (backward(dZ, X, W, s)[0], backward(dZ, X, W, s)[1].T),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_have_names(name):
    report = check_backward(forward, MISTAKES[name], (X, W, 1))
    assert report.failures[0].diagnosis.name == name
    assert "with whole numbers for dy: d" in report.notes[0]


def test_other_ops_are_recognized():
    def dense(x, w, b):
        return np.array([[sum(r * c) + bias for c, bias in zip(w.T, b, strict=True)] for r in x])

    def wrong(dy, x, w, b):
        return dy @ w.T, x.T @ dy, dy.mean(0)

    args = (X[:, :3], X[:3, 1:3] + 0.5, np.array([1.0, -1.0]))
    report = check_backward(dense, wrong, args)
    assert report.failures[0].diagnosis.sentence.startswith("d(b) is ¼ times")
    assert "db[0] = dy[0,0] + dy[1,0] + dy[2,0] + dy[3,0] = " in report.notes[0]

    def pool(x):
        return np.array([[x[i : i + 2, j : j + 2].max() for j in (0, 2)] for i in (0, 2)])

    def to_all(dy, x):
        return np.repeat(np.repeat(dy, 2, 0), 2, 1)

    x = np.arange(16.0).reshape(4, 4)
    report = check_backward(pool, to_all, (x,))
    assert not report.ok
    assert "dx[0,0] = 0" in report.notes[0]


def test_a_function_that_is_no_op_of_ours():
    def softplus(x):
        return np.array([np.log1p(np.exp(v)) for v in x])

    def wrong(dy, x):
        return dy * np.tanh(x)

    x = np.array([0.1, 0.5, -1.0])
    report = check_backward(softplus, lambda dy, x: dy / (1 + np.exp(-x)), (x,))
    assert report.ok, report
    report = check_backward(softplus, wrong, (x,))
    assert [f.oracle for f in report.failures] == ["differences"]


def test_a_forward_pass_of_jax():
    def forward(x):
        return jnp.log1p(jnp.exp(x))

    x = np.array([0.1, 0.5, -1.0])
    assert check_backward(forward, lambda dy, x: dy / (1 + np.exp(-x)), (x,)).ok
    report = check_backward(forward, lambda dy, x: dy * (1 - jnp.tanh(x) ** 2), (x,))
    assert [(f.oracle, f.diagnosis.name) for f in report.failures] == [
        ("autodiff", "other_derivative")
    ]


def test_several_outputs_and_arguments_that_are_no_arrays_of_floats():
    def split(x, index, scale):
        return x[index] * scale, x.sum()

    def right(dy, x, index, scale):
        dx = np.full_like(x, dy[1])
        np.add.at(dx, index, scale * dy[0])
        return dx

    args = (np.arange(4.0), np.array([2, 2, 0]), 3)
    assert check_backward(split, right, args).ok
    lost = check_backward(split, lambda dy, *args: right((dy[0], 0 * dy[1]), *args), args)
    assert lost.failures[0].diagnosis.name == "output_ignored"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda dy, *args: backward(dy, *args)[0], "2 gradients are expected, dX, dW, but"),
        (lambda dy, *args: backward(dy, *args)[::-1],
         r"dX must have the shape of X, \(4, 4\), but has the shape \(2, 2\)"),
        (lambda dy, *args: (backward(dy, *args)[0], None), "the shape of W, .*, but is None"),
        (lambda dy, X: dy, "the backward pass fails: TypeError: .* positional argument"),
    ],
)  # fmt: skip
def test_gradients_of_another_form_are_explained(wrong, message):
    report = check_backward(forward, wrong, (X, W))
    (failure,) = report.failures
    with pytest.raises(AssertionError, match=message):
        report.raise_if_failed()
    assert failure.oracle == "structure"


def test_a_backward_pass_that_fails_for_some_numbers_says_so(capfd):
    def fails(dZ, X, W):
        if dZ[0, 0] != 1:
            raise KeyError("only ones")
        return backward(dZ, X, W)

    report = check_backward(forward, fails, (X, W))
    assert not report.ok
    assert report.notes[0] == "with other numbers the backward pass fails: KeyError: 'only ones'"
    assert capfd.readouterr() == ("", "")


def test_arguments_are_not_changed_by_what_changes_them():
    def forgetful(dZ, X, W):
        dX, dW = backward(dZ, X, W)
        X[:], W[:], dZ[:] = 0, 0, 0
        return dX, dW

    x, w = X.copy(), W.copy()
    assert check_backward(forward, forgetful, (x, w), names=("image", "kernel")).ok
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(w, W)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ((3, backward, (X, W)), TypeError, "forward must be callable, but got 3"),
        ((forward, None, (X, W)), TypeError, "backward must be callable, but got None"),
        ((forward, backward, X), TypeError, "args must be a tuple or a list"),
        ((forward, backward, (1, 2)), ValueError, "nothing to differentiate"),
        ((forward, backward, (X, W, 0)), ValueError, "the forward pass fails: ZeroDivision"),
    ],
)
def test_bad_usage(call, error, message):
    with pytest.raises(error, match=f"check_backward: .*{message}"):
        check_backward(*call)


def test_names_for_each_argument():
    with pytest.raises(ValueError, match="one entry for each of the 2 arguments, but got 1"):
        check_backward(forward, backward, (X, W), names=("x",))
