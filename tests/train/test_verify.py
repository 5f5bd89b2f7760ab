import types
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import variables

import jaxconv
from jaxconv.models import MODELS, plain
from jaxconv.models.leaves import named
from jaxconv.train import Config
from jaxconv.train.batch import OPS
from jaxconv.train.data import load
from jaxconv.train.verify import (
    Comparison,
    GradientMismatchError,
    check,
    compare,
    compare_gradients,
)

DENSE = plain((), (4,))  # compiles in no time
IMAGES = np.random.default_rng(0).random((5, 3, 2, 1)).astype(np.float32)
LABELS = np.int32([0, 2, 1, 1, 0])


# The default model is verified in test_loop.py.
@pytest.mark.thorough
@pytest.mark.parametrize("name", ["cs231n", "demystified", "lenet", "resnet20"])
def test_models_pass_on_real_images(name):
    digits = load(Config())
    before = variables(MODELS[name], image_shape=(8, 8, 1), classes=10)
    batch = jnp.asarray(digits.train_images[:16]), jnp.asarray(digits.train_labels[:16])
    comparisons = compare_gradients(MODELS[name], before, *batch)
    assert [(c.name, c.shape) for c in comparisons] == [
        (name, leaf.shape) for name, leaf in sorted(named(before.params))
    ]
    worst = check(comparisons)
    assert worst.worst == max(c.worst for c in comparisons) <= 1e-9
    for c in comparisons:
        # Of an array's largest element; the two modes round alike.
        assert 0 < c.rounding < 1e-5
        assert 0 < c.autodiff_rounding < 1e-5


def wrong(op, spoil):
    """jaxconv, but relu's gradient of x, or dense's of b, goes through `spoil`."""

    @jax.custom_vjp
    def same(x):
        return x

    same.defvjp(lambda x: (x, None), lambda _, gradient: (spoil(gradient),))

    def relu(x):
        return jaxconv.relu(same(x))

    def dense(x, w, b):
        return jaxconv.dense(x, w, same(b))

    return types.SimpleNamespace(**{**vars(jaxconv), op: {"relu": relu, "dense": dense}[op]})


def first(value):
    """Spoils one element alone."""
    return lambda gradient: gradient.reshape(-1).at[0].set(value).reshape(gradient.shape)


@pytest.mark.parametrize(
    ("op", "spoil", "names", "message"),
    [
        ("dense", lambda g: g * (1 + 1e-7), "dense[12].b", r"off by 1.0e-07 of its value in fl"),
        ("dense", first(np.nan), "dense[12].b", "off by nan of its value in float64"),
        ("relu", jnp.negative, "dense1.[bw]", r"off by 2.0e\+00 of its value in float64"),
        (
            "dense",
            lambda g: g if g.dtype == jnp.float64 else -g,
            "dense[12].b",
            r"right in float64, but in float32 it is off by 2.0e\+00 of its largest element",
        ),
    ],
    ids=["seventh digit", "nan", "sign", "float32 sign"],
)
def test_a_wrong_rule_is_named(monkeypatch, op, spoil, names, message):
    monkeypatch.setitem(OPS, "hand", wrong(op, spoil))
    before = variables(DENSE, image_shape=IMAGES.shape[1:], classes=3)
    comparisons = compare_gradients(DENSE, before, jnp.asarray(IMAGES), jnp.asarray(LABELS))
    with pytest.raises(
        GradientMismatchError, match=f"^the hand-written gradient of {names} is .*{message}"
    ):
        check(comparisons)


def test_the_rule_that_is_spoilt_above_is_right_unspoilt(monkeypatch):
    monkeypatch.setitem(OPS, "hand", wrong("dense", lambda gradient: gradient))
    before = variables(DENSE, image_shape=IMAGES.shape[1:], classes=3)
    check(compare_gradients(DENSE, before, jnp.asarray(IMAGES), jnp.asarray(LABELS)))


@pytest.fixture
def gradients(monkeypatch):
    """Plays the gradients that are compared: called with those in float64, and in float32."""

    def play(wide, narrow):
        def gradient(model, mode, variables, images, labels):
            return {"w": np.array((narrow if variables["w"].dtype == jnp.float32 else wide)[mode])}

        monkeypatch.setattr(compare, "_gradient", gradient)
        return compare_gradients(DENSE, {"w": jnp.zeros(2, jnp.float32)}, jnp.zeros(1), None)[0]

    return play


def test_the_numbers(gradients):
    wide = {"hand": [2.0, -3.0], "autodiff": [2.5, -4.0]}
    narrow = {"hand": [2.5, -3.9], "autodiff": [2.0, -4.0]}
    name, shape, worst, rounding, autodiff_rounding = gradients(wide, narrow)
    assert (name, shape) == ("w", (2,))
    assert worst == pytest.approx(1 / 4)  # not 0.5/2.5
    assert rounding == pytest.approx(0.1 / 4)
    assert autodiff_rounding == pytest.approx(0.5 / 4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("mode", OPS)
@pytest.mark.parametrize("precision", ["wide", "narrow"])
def test_an_element_that_is_no_number_is_no_match(gradients, value, mode, precision):
    right = {"hand": [2.0, 3.0], "autodiff": [2.0, 3.0]}
    compared = gradients(
        **{"wide": right, "narrow": right, precision: right | {mode: [2.0, value]}}
    )
    if (mode, precision) == ("autodiff", "narrow"):
        check([compared])  # the hand-written one is right
    else:
        message = "is off by nan" if precision == "wide" else "is right in float64, but"
        with pytest.raises(GradientMismatchError, match=message):
            check([compared])


def test_what_cancels_is_measured_against_the_rest(gradients):
    """Sums of numbers of order 1 that cancel to 1e-13 have four digits left, or none."""
    compared = partial(gradients, narrow={"hand": [1.0, 0.0], "autodiff": [1.0, 0.0]})
    rounded = compared({"hand": [1.0, 1.01e-13], "autodiff": [1.0, 1e-13]})
    assert 0 < rounded.worst < 1e-8
    assert compared({"hand": [1.0, -1e-16], "autodiff": [1.0, 0.0]}).worst < 1e-8
    # But small is not wrong: what is smaller by a factor of 1e5 must be right to 1e-8.
    assert compared({"hand": [1.0, 1.1e-5], "autodiff": [1.0, 1e-5]}).worst == pytest.approx(1 / 11)
    assert compared({"hand": [0.0, 0.0], "autodiff": [0.0, 0.0]}).worst == 0
    assert compared({"hand": [0.0, 1e-12], "autodiff": [0.0, 0.0]}).worst > 1e-8


def test_the_worst_of_all_is_judged():
    def comparison(name, worst, rounding=1e-7, autodiff_rounding=1e-7):
        return Comparison(name, (1,), worst, rounding, autodiff_rounding)

    nan = float("nan")
    assert check([comparison("a", 1e-9), comparison("b", 3e-9), comparison("c", 0)]).name == "b"
    for spoilt in (nan, float("inf"), 1.1e-8):
        for order in (1, -1):
            with pytest.raises(GradientMismatchError, match="gradient of b is off"):
                check([comparison("a", 1e-8), comparison("b", spoilt), comparison("c", 0)][::order])
    # Where autodiff has no digits in float32 either, it is not the rule that is wrong.
    check([comparison("a", 0, rounding=nan, autodiff_rounding=nan), comparison("b", 0, 0.5, 0.4)])
