"""What is no known mistake is not called by one; where the evidence of a diagnosis comes from."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from check.mistaken import (
    BLUR,
    CONV,
    DENSE,
    IMAGES,
    NORM,
    SOFT,
    VECTORS,
    after,
    at,
    batch_norm,
    blur,
    conv,
    dense,
    diagnosed,
    mistaken,
    only,
    pool,
    relu,
    right,
    softmax,
    whole,
)
from rules import normal

from jaxconv.check import check_rule
from jaxconv.check.diagnosis import Guess, fit, register
from jaxconv.check.diagnosis.hypothesis import HYPOTHESES

# What must not be named.


def noise(size, kind="added"):
    def change(g):
        n = np.random.default_rng(g.size).standard_normal(g.shape) * size
        return g * (1 + n) if kind == "times" else g + n * jnp.sqrt(jnp.mean(g * g))

    return change


def by_shape(*changes):
    """Another mistake for each size of the batch."""
    return lambda g: changes[g.shape[0] % len(changes)](g)


INEXPLICABLE = {
    "noise": after(dense, 0, noise(1.0)),
    "some noise": after(dense, 0, noise(0.1)),
    "little noise": after(dense, 0, noise(1e-3)),
    "factors": after(dense, 0, noise(0.3, "times")),
    "small factors": after(dense, 0, noise(1e-5, "times")),
    "other numbers": after(dense, 0, lambda g: normal(1, g.shape)),
    "one element": after(dense, 0, lambda g: g.at[1, 1].add(1.0)),
    "factor without a name": after(dense, 0, by_shape(lambda g: 1.37 * g, lambda g: 1.71 * g)),
    "two mistakes": after(dense, 0, by_shape(lambda g: g[::-1], lambda g: g[:, ::-1])),
    "right at another shape": after(dense, 0, by_shape(lambda g: g[::-1], lambda g: 3 * g)),
    "nonlinear": at(dense, 0, dy=lambda d: jnp.sin(3 * d) + d),
    "permuted": after(
        dense, 0, lambda g: g.ravel()[jnp.argsort(normal(5, g.size))].reshape(g.shape)
    ),
    "noise at the border": after(dense, 0, lambda g: g.at[:, 0].add(normal(1, g.shape[0]))),
    "smooth": after(dense, 0, jnp.tanh),
}
OF_TWO_SIZES = [DENSE[0], [normal(7, (5, 3)), normal(8, (3, 5)), normal(9, (5,))]]


@pytest.fixture
def without_repairs(monkeypatch):
    monkeypatch.setattr(fit, "repair", lambda evidence: None)


@pytest.mark.usefixtures("without_repairs")
@pytest.mark.parametrize("name", INEXPLICABLE)
def test_what_is_not_known_is_not_named(name):
    found = diagnosed(INEXPLICABLE[name], dense, OF_TWO_SIZES, 0)
    if name == "other numbers":  # they do not depend on dy, which is known
        assert found.name == "cotangent_ignored"
    else:
        assert found is None


@pytest.mark.parametrize("name", INEXPLICABLE)
def test_a_step_that_is_too_many_is_found_in_its_line(name):
    found = diagnosed(INEXPLICABLE[name], dense, OF_TWO_SIZES, 0)
    if name == "other numbers":
        assert found.sentence == "d(x) does not depend on the cotangent: with 2·dy it is the same"
    elif name in ("two mistakes", "right at another shape"):
        assert found is None
    elif name == "factor without a name":
        assert found.sentence.endswith("is divided by 1.37")
    else:
        assert found.name == "step_extra"
        assert re.fullmatch(r"d\(x\) is right if, in \w+\.py:\d+, .* left out", found.sentence)


IMAGE_NOISE = {"conv": (conv, CONV), "whole": (whole, IMAGES), "blur": (blur, BLUR)}


@pytest.mark.usefixtures("without_repairs")
@pytest.mark.parametrize("name", IMAGE_NOISE)
def test_noise_in_images_is_not_named(name):
    function, shapes = IMAGE_NOISE[name]
    assert diagnosed(after(function, 0, noise(0.1)), function, shapes, 0) is None


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (dense, DENSE[0]), (conv, CONV[0]), (pool, IMAGES[0]), (batch_norm, NORM[0]),
        (softmax, SOFT[0]), (relu, VECTORS[0]),
    ],
)  # fmt: skip
def test_right_rules_are_not_diagnosed(function, args):
    rule = mistaken(function, lambda args, y, dy: right(function, *args)(dy))
    report = check_rule(rule, args, function, transforms=(), finite_differences=False)
    assert report.ok, report


# Where the evidence comes from.


def test_other_shapes_are_found_where_none_are_given():
    """Of 1/4 and 1/N, the smaller call says which."""
    mean = only(2, lambda args, y, dy: dy.mean(0))(dense)
    assert "1/N, where N = 4" in diagnosed(mean, dense, DENSE[:1], 2).sentence
    quarter = after(dense, 2, lambda g: g / 4)
    assert "1/N" not in diagnosed(quarter, dense, DENSE[:1], 2).sentence


def test_one_number_is_no_evidence_of_a_factor():
    """A single number is some factor times any other."""

    def constant(x):
        return 2.5 * x

    args = (np.float64(0.7),)
    rule = mistaken(constant, lambda args, y, dy: [1.3 * dy * args[0]])
    report = check_rule(rule, args, constant, transforms=(), finite_differences=False)
    assert report.failures[0].diagnosis is None


def test_without_a_reference_differences_are_the_evidence():
    rule = after(dense, 1, lambda g: -g)
    report = check_rule(rule, DENSE[0], transforms=())
    assert [f.diagnosis.name for f in report.failures] == ["wrong_sign"]


def test_a_rule_for_float32_alone():
    @jax.custom_vjp
    def rule(x, w):
        if x.dtype != jnp.float32:
            raise TypeError("float32 only")
        return conv(x, w)

    def backward(args, dy):
        dx, dw = right(conv, *args)(dy)
        return dx, dw[::-1, ::-1]

    rule.defvjp(lambda *args: (conv(*args), args), backward)
    shapes = [[a.astype(np.float32) for a in args] for args in CONV]
    assert diagnosed(rule, conv, shapes).name == "spatially_flipped"


def test_stale_residual():
    """What is saved outside of the rule belongs to the last call, whichever that was."""
    saved = {}

    @jax.custom_vjp
    def rule(x):
        return jnp.sin(x)

    def forward(x):
        saved["x"] = x
        return jnp.sin(x), None

    rule.defvjp(forward, lambda _, dy: (dy * jnp.cos(saved["x"]),))
    report = check_rule(rule, VECTORS[0], jnp.sin, transforms=(), finite_differences=False)
    assert [f.diagnosis.name for f in report.failures] == ["stale_residual"]


def test_saved_by_the_first_call():
    saved = {}

    @jax.custom_vjp
    def rule(x):
        return jnp.sin(x)

    def forward(x):
        saved.setdefault("x", x)
        return jnp.sin(x), None

    rule.defvjp(forward, lambda _, dy: (dy * jnp.cos(saved["x"]),))
    report = check_rule(rule, VECTORS[0], jnp.sin, transforms=(), finite_differences=False)
    assert [f.diagnosis.name for f in report.failures] == ["stale_residual"]


# Extending it.


def test_registered_hypothesis():
    @register("cubed", "mine.md", scaled=False)
    def cubed(evidence):
        yield Guess("the gradient is cubed", lambda o: o.want[evidence.leaf] ** 3)

    try:
        found = diagnosed(after(dense, 0, lambda g: g**3), dense, DENSE)
        assert (found.name, found.sentence, found.page) == (
            "cubed", "the gradient is cubed", "mine.md",
        )  # fmt: skip
        with pytest.raises(ValueError, match="there is a hypothesis 'cubed' already"):
            register("cubed")
    finally:
        del HYPOTHESES["cubed"]
