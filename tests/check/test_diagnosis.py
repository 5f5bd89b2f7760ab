"""A deliberate mistake is called by its name; what is no known mistake is not called by one."""

import functools
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import normal

from jaxconv.check import check_rule
from jaxconv.check.diagnosis import Guess, fit, register
from jaxconv.check.diagnosis.hypothesis import HYPOTHESES
from jaxconv.check.naming import argument_names

# Forward passes, and arguments of two shapes for each.


def dense(x, w, b):
    return x @ w + b


DENSE = [
    [normal(1, (4, 3)), normal(2, (3, 5)), normal(3, (5,))],
    [normal(4, (6, 5)), normal(5, (5, 2)), normal(6, (2,))],
]
SQUARE = [[normal(1, (4, n)), normal(2, (n, n)), normal(3, (n,))] for n in (4, 3)]


def conv(x, w):
    return jax.lax.conv_general_dilated(
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


CONV = [
    [normal(1, (2, 5, 6, 2)), normal(2, (3, 3, 2, 2))],
    [normal(3, (3, 4, 5, 3)), normal(4, (3, 3, 3, 3))],
]


def blur(x, w):
    """Along one axis, without padding."""
    return sum(x[:, a : x.shape[1] - w.size + 1 + a] * w[a] for a in range(w.size))


BLUR = [[normal(1, (2, 7)), normal(2, (3,))], [normal(3, (3, 9)), normal(4, (4,))]]


def pool(x):
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))


def whole(x):
    return x.mean((1, 2))


IMAGES = [[normal(1, (2, 4, 6, 3))], [normal(2, (3, 6, 2, 2))]]


def relu(x):
    return jnp.where(x > 0, x, 0)


def relu6(x):
    return jnp.clip(x, 0, 1)


def leaky(x):
    return jnp.where(x > 0, x, 0.1 * x)


VECTORS = [[normal(1, (4, 7))], [normal(2, (3, 5))]]


def normalize(x, axes=(0,), eps=1e-5):
    x = x - x.mean(axes, keepdims=True)
    return x / jnp.sqrt((x * x).mean(axes, keepdims=True) + eps)


def batch_norm(x, scale, bias):
    return normalize(x) * scale + bias


def layer_norm(x, scale, bias):
    return normalize(x, (-1,)) * scale + bias


def group_norm(x):
    n, h, w, c = x.shape
    return normalize(x.reshape(n, h, w, 2, c // 2), (1, 2, 4)).reshape(x.shape)


def rms_norm(x):
    return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)


NORM = [
    [normal(1, (6, 4)), normal(2, (4,)), normal(3, (4,))],
    [normal(4, (5, 7)), normal(5, (7,)), normal(6, (7,))],
]
GROUPS = [[normal(1, (2, 3, 2, 4))], [normal(2, (1, 2, 4, 6))]]


def scale_by(x, s):
    return x * s


SCALE = [[normal(1, (4, 4)), normal(2, (4,))], [normal(3, (5, 5)), normal(4, (5,))]]


def both_waves(x):
    return jnp.sin(x), jnp.cos(x)


MATRICES = [[normal(1, (2, 5, 5))], [normal(2, (6, 6))]]


def causal(x):
    return jnp.tril(x)


def banded(x):
    return jnp.triu(jnp.tril(x, 1), -1)


def rough_norm(x, eps=1e-2):
    return normalize(x, (-1,), eps)


def product(x, w):
    return jnp.sin(x) * w * w


PAIRS = [[normal(1, (3, 4)), normal(2, (3, 4))], [normal(3, (5, 2)), normal(4, (5, 2))]]


def prelu(x, slope):
    return jnp.where(x > 0, x, slope * x)


def right(function, *args):
    """(dy) → the right gradients there."""
    return lambda dy: list(jax.vjp(function, *args)[1](dy))


def mistaken(function, change):
    """A rule whose gradients are those of `change(args, y, dy)`, which returns them all."""
    function = jax.jit(function)

    @jax.custom_vjp
    def rule(*args):
        return function(*args)

    def forward(*args):
        return function(*args), args

    @jax.jit
    def backward(args, dy):
        found = change(args, function(*args), dy)
        return tuple(f.astype(a.dtype) for f, a in zip(found, args, strict=True))

    rule.defvjp(forward, backward)
    return rule


def after(function, leaf, change):
    """The right gradients, but for one that is changed."""

    def wrong(args, y, dy):
        found = right(function, *args)(dy)
        found[leaf] = change(found[leaf])
        return found

    return mistaken(function, wrong)


def at(function, leaf, **changes):
    """One gradient at changed arguments, `args={number: change}`, or a changed cotangent, `dy=`."""

    def wrong(args, y, dy):
        found = right(function, *args)(dy)
        moved = [changes.get("args", {}).get(i, lambda a: a)(a) for i, a in enumerate(args)]
        found[leaf] = right(function, *moved)(changes.get("dy", lambda d: d)(dy))[leaf]
        return found

    return mistaken(function, wrong)


def diagnosed(rule, function, shapes, leaf=None, **options):
    """The diagnosis of the first failure, of one argument if it is given."""
    report = check_rule(
        rule, shapes[0], function, others=shapes[1:], transforms=(), finite_differences=False,
        **options,
    )  # fmt: skip
    assert not report.ok
    names = argument_names((rule, function), len(shapes[0]))
    failures = [f for f in report.failures if leaf is None or f.argument == names[leaf]]
    assert failures, report
    return failures[0].diagnosis


def swap_last(a):
    return a.swapaxes(-1, -2)


def masked(dy, index):
    return jnp.zeros_like(dy).at[index].set(dy[index])


def norm_terms(mean, variance, axes=(0,)):
    def change(args, y, dy):
        x, scale, _ = args
        found = right(batch_norm if axes == (0,) else layer_norm, *args)(dy)
        r = 1 / jnp.sqrt(x.var(axes, keepdims=True) + 1e-5)
        n, g = (x - x.mean(axes, keepdims=True)) * r, dy * scale
        found[0] = r * (
            g
            - mean * g.mean(axes, keepdims=True)
            - variance * n * (g * n).mean(axes, keepdims=True)
        )
        return found

    return change


def group_terms(args, y, dy):
    x = args[0]
    n, h, w, c = x.shape
    x = x.reshape(n, h, w, 2, c // 2)
    r = 1 / jnp.sqrt(x.var((1, 2, 4), keepdims=True) + 1e-5)
    return [(r * dy.reshape(x.shape)).reshape(args[0].shape)]


def rms_terms(args, y, dy):
    x = args[0]
    return [dy / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)]


def assigned(args, y, dy):
    """The gradient of `blur`, where each output writes over what the one before it wrote."""
    x, w = args
    dx = jnp.zeros_like(x)
    for i in range(dy.shape[1]):
        for a in range(w.size):
            dx = dx.at[:, i + a].set(dy[:, i] * w[a])
    return [dx, right(blur, *args)(dy)[1]]


def only(leaf, value):
    """One gradient from (args, y, dy), the others right; the function is bound first."""

    def bind(function):
        def change(args, y, dy):
            found = right(function, *args)(dy)
            found[leaf] = value(args, y, dy)
            return found

        return mistaken(function, change)

    return bind


softmax = functools.partial(jax.nn.softmax, axis=-1)
log_softmax = functools.partial(jax.nn.log_softmax, axis=-1)
SOFT = [[normal(1, (4, 5))], [normal(2, (3, 7))]]


def rounded(dtype):
    return lambda a: a.astype(dtype).astype(a.dtype)


def windows(x, w, stride, dilation, low):
    """y_i = Σ w_a x[stride·i + dilation·a − low], in rows of five outputs."""
    places = stride * np.arange(5)[:, None] + dilation * np.arange(w.size)[None, :] - low
    inside = (places >= 0) & (places < x.shape[1])
    read = jnp.where(inside, x[:, np.clip(places, 0, x.shape[1] - 1)], 0)
    return jnp.sum(read * w, axis=-1)


def in_windows(stride, dilation, low):
    def function(x, w):
        return windows(x, w, stride, dilation, low)

    return function


def with_windows(function, *other):
    """The gradient of x is that of other windows."""
    return mistaken(
        function,
        lambda args, y, dy: [
            right(in_windows(*other), *args)(dy)[0],
            right(function, *args)(dy)[1],
        ],
    )


STRIDED, SPREAD, PADDED = in_windows(2, 1, 0), in_windows(1, 2, 0), in_windows(2, 1, 3)
ROWS = [[normal(1, (2, 11)), normal(2, (3,))], [normal(3, (3, 12)), normal(4, (3,))]]
LONGER = [[normal(1, (2, 11)), normal(2, (5,))], [normal(3, (3, 12)), normal(4, (5,))]]

# name, the rule, the function, arguments, the argument whose gradient is wrong, words in the
# sentence.
MISTAKES = [
    ("wrong_sign", after(dense, 1, lambda g: -g), dense, DENSE, 1, "d(w)"),
    ("argument_constant", after(dense, 0, lambda g: 0 * g), dense, DENSE, 0, "constant"),
    ("constant_factor", after(dense, 0, lambda g: 2 * g), dense, DENSE, 0, "is 2 times"),
    ("constant_factor", after(dense, 0, lambda g: g / 2), dense, DENSE, 0, "½ times"),
    ("constant_factor", after(dense, 0, lambda g: -1.7 * g), dense, DENSE, 0, "−17/10 times"),
    ("constant_factor", after(dense, 2, lambda g: g / 4), dense, [DENSE[0]] * 1 + [
        [normal(7, (4, 2)), normal(8, (2, 3)), normal(9, (3,))]], 2, "1/N, where N = 4"),
    ("constant_factor", only(2, lambda args, y, dy: dy.mean(0))(dense), dense, DENSE, 2,
     "1/N, where N = 4 (axis 0 of x)"),
    ("constant_factor", after(whole, 0, lambda g: g * (g.shape[1] * g.shape[2])), whole, IMAGES,
     0, "24 times what it should be, which is H·W (axes 1 and 2"),
    ("constant_factor", after(pool, 0, lambda g: 4 * g), pool, IMAGES, 0,
     "4 times what it should be, which is the window area"),
    ("constant_factor", after(conv, 0, lambda g: 9 * g), conv, CONV, 0,
     "9 times what it should be, which is the window area"),
    ("constant_factor", after(blur, 0, lambda g: 9 * g), blur, BLUR, 0, "window of 3 × 3"),
    ("stride_forgotten", with_windows(STRIDED, 1, 1, 0), STRIDED, ROWS, 0,
     "the stride 1 instead of 2"),
    ("dilation_forgotten", with_windows(SPREAD, 1, 1, 0), SPREAD, ROWS, 0,
     "the dilation 1 instead of 2"),
    ("padding_forgotten", with_windows(PADDED, 2, 1, 0), PADDED, LONGER, 0,
     "the padding before the first element 0 instead of 3"),
    ("parameter_changed", only(0, lambda args, y, dy: dy * jnp.cos(args[0]))(product), product,
     PAIRS, 0, "1 in the place of w"),
    ("other_arguments_gradient",
     mistaken(product, lambda args, y, dy: right(product, *args)(dy)[::-1]), product, PAIRS, 0,
     "gradient of w"),
    ("spatially_flipped", after(conv, 1, lambda g: g[::-1, ::-1]), conv, CONV, 1, "axes 0 and 1"),
    ("spatially_flipped", at(conv, 0, args={1: lambda w: w[::-1, ::-1]}), conv, CONV, 0,
     "from w, flipped along axes 0 and 1"),
    ("spatially_flipped", at(blur, 1, dy=lambda d: d[:, ::-1]), blur, BLUR, 1, "cotangent"),
    ("spatially_flipped", after(conv, 1, lambda g: -g[:, ::-1]), conv, CONV, 1, "−1 times that"),
    ("channels_exchanged", after(conv, 1, swap_last), conv, CONV, 1, "axes 2 and 3"),
    ("channels_exchanged", at(conv, 0, args={1: swap_last}), conv, CONV, 0, "axes 2 and 3"),
    ("axes_swapped", after(dense, 1, swap_last), dense, SQUARE, 1, "axes 0 and 1"),
    ("axes_swapped", at(dense, 0, args={1: swap_last}), dense, SQUARE, 0, " w "),
    ("axes_swapped", only(1, lambda args, y, dy: (dy.T @ args[0]).reshape(args[1].shape))(dense),
     dense, DENSE, 1, "axes 0 and 1"),
    ("axes_swapped", at(dense, 0, args={1: lambda w: w.reshape(w.shape[::-1]).T}), dense, DENSE,
     0, "read as if"),
    ("shifted", after(conv, 0, lambda g: jnp.roll(g, 1, 1)), conv, CONV, 0, "1 along axis 1"),
    ("shifted", at(blur, 1, args={0: lambda x: jnp.pad(x, ((0, 0), (1, 0)))[:, :-1]}), blur, BLUR,
     1, "zeros come in"),
    ("shifted", after(blur, 0, lambda g: jnp.roll(g, -1, 1).at[:, -1].set(7.0)), blur, BLUR, 0,
     "−1 along axis 1"),
    ("shifted", at(conv, 0, dy=lambda d: jnp.roll(d, (1, 1), (1, 2))), conv, CONV, 0,
     "axes 1 and 2 cyclically"),
    ("cotangent_ignored", at(dense, 1, dy=jnp.ones_like), dense, DENSE, 1, "1 everywhere"),
    ("cotangent_ignored", at(dense, 0, dy=lambda d: jnp.full_like(d, d.mean())), dense, DENSE, 0,
     "its mean"),
    ("cotangent_squared", at(dense, 0, dy=lambda d: d * d), dense, DENSE, 0, "dy²"),
    ("one_sample_only", at(dense, 1, dy=lambda d: masked(d, -1)), dense, DENSE, 1, "last sample"),
    ("one_sample_only", only(2, lambda args, y, dy: dy[0])(dense), dense, DENSE, 2, "first"),
    ("last_window_only", mistaken(blur, assigned), blur, BLUR, 0, "axis 1"),
    ("last_window_only", at(blur, 1, dy=lambda d: masked(d, (slice(None), -1))), blur, BLUR, 1,
     "axis 1 of y"),
    ("mask_missing", mistaken(relu, lambda args, y, dy: [dy]), relu, VECTORS, 0, "mask"),
    ("mask_threshold", mistaken(relu, lambda args, y, dy: [jnp.where(args[0] > 0.5, dy, 0)]),
     relu, VECTORS, 0, "x is from"),
    ("mask_threshold", mistaken(relu6, lambda args, y, dy: [jnp.where(args[0] > 0, dy, 0)]), relu6,
     [[normal(1, (6, 7))], [normal(2, (3, 5))]], 0, "or more"),
    ("mask_threshold", mistaken(leaky, lambda args, y, dy: [dy]),
     leaky, VECTORS, 0, "10 times"),
    ("mean_term_missing", mistaken(batch_norm, norm_terms(0, 1)), batch_norm, NORM, 0, "axis 0"),
    ("variance_term_missing", mistaken(batch_norm, norm_terms(1, 0)), batch_norm, NORM, 0, "x̂"),
    ("statistics_constant", mistaken(batch_norm, norm_terms(0, 0)), batch_norm, NORM, 0, "mean"),
    ("mean_term_missing", mistaken(layer_norm, norm_terms(0, 1, (-1,))), layer_norm, NORM, 0,
     "axis 1"),
    ("variance_term_missing", mistaken(layer_norm, norm_terms(1, 0, (-1,))), layer_norm, NORM, 0,
     "axis 1"),
    ("statistics_constant", mistaken(group_norm, group_terms), group_norm, GROUPS, 0, "2 groups"),
    ("variance_term_missing", mistaken(rms_norm, rms_terms), rms_norm,
     [[normal(1, (3, 5))], [normal(2, (2, 6))]], 0, "axis 1"),
    ("diagonal_only", mistaken(softmax, lambda args, y, dy: [dy * y * (1 - y)]), softmax, SOFT, 0,
     "diagonal"),
    ("reduction_missing", mistaken(softmax, lambda args, y, dy: [dy * y]), softmax, SOFT, 0,
     "axis 1 is left out"),
    ("reduction_missing", mistaken(log_softmax, lambda args, y, dy: [dy]), log_softmax, SOFT, 0,
     "axis 1 is left out"),
    ("reduction_missing", only(1, lambda args, y, dy: jnp.sum(
        jnp.where(args[0] < 0, dy * args[0], 0)[:, -1]))(prelu),
     prelu, [[v[0], np.float64(0.3)] for v in VECTORS], 1, "axis 1 of y"),
    ("wrong_reduction", only(1, lambda args, y, dy: (dy * args[0]).sum(1))(scale_by), scale_by,
     SCALE, 1, "axis 1 of y"),
    ("wrong_reduction", mistaken(softmax, lambda args, y, dy: [
        y * (dy - (y * dy).sum(0, keepdims=True))]), softmax, SOFT, 0, "taken over axis 0"),
    ("wrong_point", only(0, lambda args, y, dy: dy * jnp.cos(y) * args[1] ** 2)(product), product,
     PAIRS, 0, "with y in the place of "),
    ("wrong_point", only(1, lambda args, y, dy: 2 * jnp.sin(args[1]) * args[0] * dy)(product),
     product, PAIRS, 1, "exchanged"),
    ("border_wrong", after(blur, 0, lambda g: g.at[:, 0].set(0).at[:, -1].set(0)), blur, BLUR, 0,
     "0 within 1"),
    ("border_wrong", at(conv, 0, dy=lambda d: d.at[:, 0].multiply(1.5).at[:, -1].multiply(1.5)),
     conv, CONV, 0, "3/2"),
    ("not_finite", mistaken(relu, lambda args, y, dy: [jnp.where(args[0] < -1, jnp.nan, 1) *
        jnp.where(args[0] > 0, dy, 0)]), relu, VECTORS, 0, "is NaN at"),
    ("not_finite", mistaken(relu, lambda args, y, dy: [jnp.where(args[0] > 0, dy, 0) / (
        jnp.where(args[0] == args[0][0, 0], 0.0, 1.0))]), relu, VECTORS, 0,
        "infinite where x is"),
    ("output_ignored", at(both_waves, 0, dy=lambda d: (d[0], 0 * d[1])), both_waves, VECTORS, 0,
        "ignores the cotangent of output 1"),
    ("cotangent_in_part", at(relu, 0, dy=lambda d: jnp.full_like(d, d[0, 0])), relu, VECTORS, 0,
        "first element"),
    ("cotangent_in_part", at(dense, 1, dy=lambda d: d[:, :1] * jnp.ones_like(d)), dense, DENSE, 1,
        "first index of axis 1"),
    ("triangle_wrong", mistaken(causal, lambda args, y, dy: [dy]), causal, MATRICES, 0,
        "+1 and above"),
    ("triangle_wrong", mistaken(causal, lambda args, y, dy: [jnp.tril(dy, -1)]), causal, MATRICES,
        0, "+0 and above"),
    ("band_wrong", mistaken(banded, lambda args, y, dy: [dy]), banded, MATRICES, 0,
        "-2 and below, +2 and above"),
    ("rows_wrong", after(dense, 0, lambda g: g.at[-1:].set(0)), dense, DENSE, 0,
        "0 at the last index of axis 0"),
    ("epsilon_forgotten", mistaken(rough_norm, lambda args, y, dy: right(
        lambda x: rough_norm(x, 0.0), *args)(dy)), rough_norm, [[normal(1, (6, 4))],
        [normal(2, (5, 7))]], 0, "small number"),
    ("wrong_axis", mistaken(softmax, lambda args, y, dy: right(
        lambda x: softmax(x.T).T, *args)(dy)), softmax, SOFT, 0, "axes 0 and 1"),
    ("other_derivative", mistaken(jax.nn.silu, lambda args, y, dy: right(
        jax.nn.mish, *args)(dy)), jax.nn.silu, VECTORS, 0, "mish"),
    ("precision_lost", after(dense, 1, rounded(jnp.float32)), dense, DENSE, 1, "float32"),
    ("precision_lost", at(dense, 1, args={0: rounded(jnp.bfloat16)}), dense, DENSE, 1,
     "rounded to bfloat16"),
    ("precision_lost", at(dense, 1, dy=rounded(jnp.float16)), dense, DENSE, 1, "dy rounded"),
    ("precision_lost", only(0, lambda args, y, dy: dy * jnp.cos(
        args[0].astype(jnp.float32)).astype(dy.dtype) * args[1] ** 2)(product), product, PAIRS, 0,
     "float32"),
]  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "rule", "function", "shapes", "leaf", "words"),
    [pytest.param(*m, id=f"{m[0]}-{i}") for i, m in enumerate(MISTAKES)],
)
def test_mistake_is_named(name, rule, function, shapes, leaf, words):
    found = diagnosed(rule, function, shapes, leaf)
    assert found is not None
    assert found.name == name, found
    assert words in found.sentence
    assert found.page.endswith(f"docs/diagnoses.md#{name}")
    assert found.residual < (1e-5 if name == "precision_lost" else 1e-9)


ELSEWHERE = {"stale_residual", "conjugate_missing"}
"""Hypotheses whose mistakes are made in other tests."""

OF_A_STEP = {"statistics_given", "step_extra", "step_missing", "wrong_operand"}
"""Names of changes of one step; test_repair.py has their mistakes."""

OF_A_LEVEL = {"compiled_only", "batch_wrong", "unused_wrong", "second_order_wrong"}
"""Names that follow from the level at which a gradient is wrong."""


def test_every_hypothesis_has_a_mistake():
    assert {name for name, *_ in MISTAKES} | ELSEWHERE == set(HYPOTHESES)


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
        assert re.fullmatch(
            r"d\(x\) is right if, in test_diagnosis\.py:\d+, .* left out", found.sentence
        )


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


def test_every_hypothesis_has_a_page():
    pages = (Path(__file__).parents[2] / "docs" / "diagnoses.md").read_text()
    assert set(re.findall(r"^## (\w+)$", pages, re.M)) == set(HYPOTHESES) | OF_A_LEVEL | OF_A_STEP
