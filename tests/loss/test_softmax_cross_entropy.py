"""softmax_cross_entropy."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive import softmax_cross_entropy as naive_loss
from rules import assert_close, assert_trees_close, normal, value_and_pullback

import jaxconv
import jaxconv.reference

SHAPES = [(5, 7), (2, 3, 7)]
WEIGHTS = [None, "per class", "per example", "examples", "both"]


def draw(shape, kind, weights, seed=0):
    """Logits, labels and weights; and the weights once more, laid out over the logits."""
    rng = np.random.default_rng((seed, *shape))
    *examples, classes = shape
    z = 3 * rng.standard_normal(shape)
    if kind == "integers":
        labels = rng.integers(0, classes, examples)
    else:
        labels = rng.dirichlet(np.ones(classes), examples)
    form = {
        None: None,
        "per class": (classes,),
        "per example": (*examples, 1),
        "examples": tuple(examples),
        "both": shape,
    }[weights]
    if form is None:
        return z, labels, None, None
    w = rng.uniform(0.5, 2, form)
    laid_out = w[..., None] if weights == "examples" else w
    return z, labels, w, np.broadcast_to(laid_out, shape)


@pytest.mark.parametrize("kind", ["integers", "probabilities"])
@pytest.mark.parametrize(
    ("shape", "weights", "reduction"),
    [
        *itertools.product(SHAPES, WEIGHTS, ["mean", "sum", "none"]),
        *itertools.product([(7,), (1, 1)], [None, "per class"], ["mean", "none"]),
    ],
    ids=str,
)
def test_rule(shape, kind, weights, reduction):
    z, labels, w, laid_out = draw(shape, kind, weights)
    keywords = {"label_smoothing": 0.15 if len(shape) > 1 else 0.0, "reduction": reduction}
    keywords["ignore_index"] = 3 if kind == "integers" else None

    def of(ops):
        def loss(z, labels, *w):
            return ops.softmax_cross_entropy(z, labels, weights=w[0] if w else None, **keywords)

        return loss

    args = (z, labels) if w is None else (z, labels, w)
    want = naive_loss(z, labels, weights=laid_out, **keywords)
    dy = normal(9, np.shape(want))
    got = value_and_pullback(of(jaxconv), args, dy)
    assert_close(got[0], want)
    assert_trees_close(got, value_and_pullback(of(jaxconv.reference), args, dy))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_against_central_differences(reduction):
    z, labels, w, _ = draw((5, 7), "probabilities", "per class")
    keywords = {"label_smoothing": 0.2, "ignore_index": None, "reduction": reduction}

    def at(z, labels, w):
        laid_out = np.broadcast_to(w, z.shape)
        return naive_loss(z, labels, weights=laid_out, **keywords)

    args = (z, labels, w)
    op = lambda z, labels, w: jaxconv.softmax_cross_entropy(z, labels, weights=w, **keywords)  # noqa: E731
    _, cotangents = value_and_pullback(op, args, np.float64(1))
    h = 1e-5  # truncation h² and rounding 1e-16/h are both about 1e-10
    for i, v in enumerate(map(partial(normal, 11), map(np.shape, args))):
        plus, minus = list(args), list(args)
        plus[i], minus[i] = args[i] + h * v, args[i] - h * v
        slope = (at(*plus) - at(*minus)) / (2 * h)
        np.testing.assert_allclose(np.sum(cotangents[i] * v), slope, rtol=1e-7)


def test_gradient_is_p_minus_t():
    z, labels, _, _ = draw((5, 7), "integers", None)
    dz = jax.grad(partial(jaxconv.softmax_cross_entropy, labels=labels, reduction="sum"))(z)
    assert_close(dz, jax.nn.softmax(z) - np.eye(7)[labels])


@pytest.mark.parametrize("weights", [None, "per class"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_one_hot_probabilities_are_integer_labels(weights, reduction):
    z, labels, w, _ = draw((5, 7), "integers", weights)
    loss = partial(
        jaxconv.softmax_cross_entropy, weights=w, label_smoothing=0.1, reduction=reduction
    )
    assert_close(loss(z, np.eye(7)[labels]), loss(z, labels))


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_large_logits(scale):
    z = scale * np.eye(4)
    loss, dz = jax.value_and_grad(jaxconv.softmax_cross_entropy)(z, np.arange(4))
    want = 0.0 if scale > 0 else 1e4 + np.log(3)
    assert_close(loss, want)
    assert np.all(np.isfinite(dz))
    assert np.all(np.isfinite(jax.hessian(jaxconv.softmax_cross_entropy)(z, np.arange(4))))


@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6])
def test_float32_keeps_its_digits_however_large_the_logits(offset):
    z = np.array([[0.0, 1.0, 2.0]])
    exact, exact_dz = jax.value_and_grad(jaxconv.softmax_cross_entropy)(z, np.array([0]))
    large = (z + offset).astype(np.float32)  # differences of these are exact
    loss, dz = jax.value_and_grad(jaxconv.softmax_cross_entropy)(large, np.array([0]))
    np.testing.assert_allclose(loss, exact, rtol=3e-7)
    np.testing.assert_allclose(dz, exact_dz, rtol=3e-7)


def test_impossible_classes_that_nobody_asks_for():
    z = np.array([[0.0, -np.inf, 0.0]])
    for labels in (np.array([0]), np.array([[0.5, 0.0, 0.5]])):
        loss, dz = jax.value_and_grad(jaxconv.softmax_cross_entropy)(z, labels)
        assert_close(loss, np.log(2))
        assert dz[0, 1] == 0
        assert np.all(np.isfinite(dz))
    assert jaxconv.softmax_cross_entropy(z, np.array([1])) == np.inf


def test_nan_in_nan_out_but_only_if_it_counts():
    z = np.zeros((3, 2))
    z[1] = np.nan
    labels = np.array([0, 1, 1])
    assert np.isnan(jaxconv.softmax_cross_entropy(z, labels))
    op = partial(jaxconv.softmax_cross_entropy, labels=np.array([0, -1, 1]), ignore_index=-1)
    loss, dz = jax.value_and_grad(op)(z)
    assert_close(loss, np.log(2))
    np.testing.assert_array_equal(dz[1], 0)
    assert np.all(np.isfinite(dz))


@pytest.mark.parametrize("label", [-1, 2])
def test_label_out_of_range_is_nan(label):
    loss, dz = jax.value_and_grad(jaxconv.softmax_cross_entropy)(
        np.zeros((1, 2)), np.array([label])
    )
    assert np.isnan(loss)
    assert np.all(np.isnan(dz))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
    "keywords",
    [{"ignore_index": 1}, {"weights": np.zeros(4)}, {"weights": np.zeros((3, 1))}],
    ids=["all ignored", "no class weight", "no example weight"],
)
def test_nothing_counts(keywords, reduction):
    z = normal(0, (3, 4))
    op = partial(
        jaxconv.softmax_cross_entropy, labels=np.full(3, 1), reduction=reduction, **keywords
    )
    loss, dz = jax.value_and_grad(op)(z)
    assert loss == 0
    np.testing.assert_array_equal(dz, 0)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_empty_batch(reduction):
    op = partial(jaxconv.softmax_cross_entropy, labels=np.zeros(0, int), reduction=reduction)
    loss, pull = jax.vjp(op, np.zeros((0, 3)))
    assert np.all(loss == 0)
    assert pull(jnp.ones_like(loss))[0].shape == (0, 3)


def test_as_many_weights_as_classes_are_per_class():
    z, labels = normal(0, (3, 3)), np.array([0, 1, 2])
    w = np.array([1.0, 2.0, 5.0])
    loss = partial(jaxconv.softmax_cross_entropy, z, labels[::-1], reduction="sum")
    each = jaxconv.softmax_cross_entropy(z, labels[::-1], reduction="none")
    assert_close(loss(weights=w), np.sum(w[::-1] * each))
    assert_close(loss(weights=w[:, None]), np.sum(w * each))


def test_the_mean_divides_by_the_weight_that_counted():
    z, labels = normal(0, (4, 3)), np.array([0, 2, -1, 2])
    w = np.array([1.0, 2.0, 5.0])
    op = partial(jaxconv.softmax_cross_entropy, z, labels, weights=w, ignore_index=-1)
    assert_close(op(), op(reduction="sum") / (1 + 5 + 5))


@pytest.mark.parametrize(("dtype", "classes"), [(np.uint8, 256), (np.int8, 128), (np.uint8, 300)])
def test_more_classes_than_the_label_dtype_counts(dtype, classes):
    z, labels = normal(0, (2, classes)), np.array([3, 44])
    for ops in (jaxconv, jaxconv.reference):
        loss = partial(ops.softmax_cross_entropy, z)
        assert_close(loss(labels.astype(dtype)), loss(labels))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
def test_label_dtypes(dtype):
    z, labels = normal(0, (4, 3)), np.array([0, 2, 1, 2])
    want = jaxconv.softmax_cross_entropy(z, labels)
    assert_close(jaxconv.softmax_cross_entropy(z, labels.astype(dtype)), want)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
@pytest.mark.parametrize("op", [jaxconv.softmax_cross_entropy, jaxconv.nll_loss])
def test_labels_beyond_32_bits_are_not_wrapped_around(op, dtype):
    """JAX without 64 bits would read the first one as class 1."""
    with jax.enable_x64(False):
        z = np.zeros((2, 3), np.float32)
        labels = np.array([2**32 + 1, 2**40], dtype)
        assert np.all(np.isnan(op(z, labels, reduction="none")))


def test_only_a_weighted_mean_keeps_its_value():
    def kept(labels, **keywords):
        op = partial(jaxconv.softmax_cross_entropy, **keywords)
        return len(jax.tree.leaves(jax.vjp(op, normal(0, (4, 3)), labels)[1]))

    labels = np.full((4, 3), 1 / 3)
    w = np.ones(3)
    assert kept(labels, reduction="none") < kept(labels) < kept(labels, weights=w)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("ignore_index", [None, 1])
def test_picked_labels_are_labels_of_weight_one(ignore_index, reduction):
    """Two ways to the same loss: one log-probability an example, and sums over the classes."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(12, 5)) * 10
    z[0, 2], z[1, 3], z[2] = -np.inf, np.inf, np.nan
    labels = np.array([2, 0, 1, 1, 4, 0, 3, 0, 1, 2, 1, 0], np.int32)
    if reduction != "mean":  # of which nothing is left then, if the weights are no numbers
        labels[7:9] = 5, -1

    def loss(z, **weights):
        loss = jaxconv.softmax_cross_entropy(
            z, labels, ignore_index=ignore_index, reduction=reduction, **weights
        )
        return loss, jnp.sum(jnp.cos(jnp.arange(loss.size)).reshape(loss.shape) * loss)

    def both(**weights):
        (_, value), gradient = jax.value_and_grad(lambda z: loss(z, **weights)[::-1], has_aux=True)(
            jnp.asarray(z)
        )
        return value, gradient

    picked, summed = both(), both(weights=jnp.ones(5, z.dtype))
    assert np.isnan(picked[1]).any()
    assert reduction == "mean" or np.isfinite(picked[1]).any()
    for got, want in zip(picked, summed, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
