"""Verdicts on rules that have what ours have not: NaN, narrow dtypes, complex numbers, levels."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import normal

from jaxconv.check import check_rule
from jaxconv.check.trial import Trial

quick = partial(check_rule, transforms=())
X, W = normal(1, (6, 16)), normal(2, (16,))


@pytest.fixture(autouse=True)
def as_strangers_have_it():
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def without_x64():
    with jax.enable_x64(False):
        yield


def made(value, backward, **options):
    """A rule that keeps its arguments."""
    rule = jax.custom_vjp(value)
    rule.defvjp(lambda *args: (value(*args), args), lambda args, dy: backward(dy, *args), **options)
    return rule


def named(report):
    return [failure.diagnosis and failure.diagnosis.name for failure in report.failures]


# NaN and infinities


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, -jnp.inf])
def test_a_gradient_that_is_not_finite_where_differences_are(bad):
    rule = made(lambda x: x * x, lambda dy, x: (jnp.where(x > 0, bad, 2 * x * dy),))
    for reference in (None, lambda x: x * x):
        (failure,) = quick(rule, (X,), reference).failures
        assert not np.isfinite(failure.got)
        assert np.isfinite(failure.expected)
        assert failure.off == np.sum(X > 0)


def test_the_same_nan_on_both_sides_agrees():
    x = np.array([0.0, 1.0, 4.0])
    rule = made(jnp.sqrt, lambda dy, x: (dy * 0.5 / jnp.sqrt(x),))
    assert quick(rule, (x,), jnp.sqrt).ok
    report = quick(rule, (x,))
    assert report.ok
    assert any("differences are not finite either" in note for note in report.notes)


def test_a_gradient_that_is_finite_where_autodiff_is_nan_is_judged_by_differences():
    def safe_norm(x):
        return jnp.where(x == 0, 0.0, jnp.sin(x) * x / jnp.where(x == 0, 1.0, x))

    def naive(x):
        return jnp.where(x == 0, 0.0, jnp.sin(x) * x / x)

    x = np.array([0.0, 1.0, -2.0])
    report = quick(made(safe_norm, lambda dy, x: (dy * jnp.cos(x),)), (x,), naive)
    assert report.ok
    assert any("NaN in parts" in note for note in report.notes)


# Narrow dtypes inside


def rms_norm(x, w):
    h = x.astype(jnp.bfloat16)
    r = jax.lax.rsqrt(jnp.mean(h.astype(jnp.float32) ** 2, -1, keepdims=True) + 1e-6)
    return (h * r.astype(jnp.bfloat16) * w.astype(jnp.bfloat16)).astype(x.dtype)


def rms_norm_backward(dy, x, w, *, mean=1.0):
    h, g = x.astype(jnp.float32), dy.astype(jnp.float32) * w.astype(jnp.float32)
    r = jax.lax.rsqrt(jnp.mean(h**2, -1, keepdims=True) + 1e-6)
    dx = r * g - mean * h * r**3 * jnp.mean(g * h, -1, keepdims=True)
    return dx.astype(x.dtype), jnp.sum(dy.astype(jnp.float32) * h * r, 0).astype(w.dtype)


def exact_norm(x, w):
    return x * jax.lax.rsqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-6) * w


def test_a_rule_that_works_in_a_narrow_dtype_is_compared_to_what_that_allows():
    q = normal(3, (1, 5, 2, 4))
    attention = jax.nn.dot_product_attention
    report = quick(attention, (q, q + 1, q * 2), attention)
    assert report.ok
    assert any("it works in float32 inside" in note for note in report.notes)
    for reference in (exact_norm, rms_norm):
        report = quick(made(rms_norm, rms_norm_backward), (X, W), reference)
        assert report.ok
        assert any("it works in bfloat16 inside" in note for note in report.notes)


def test_without_a_reference_16_bits_are_too_few_for_differences():
    report = quick(made(rms_norm, rms_norm_backward), (X, W))
    assert report.ok
    assert report.levels["gradient"] == "cannot be told"
    assert any("the value is rounded too much" in note for note in report.notes)


def test_a_wrong_rule_that_works_in_a_narrow_dtype():
    wrong = made(rms_norm, lambda dy, x, w: rms_norm_backward(dy, x, w, mean=0.0))
    assert not quick(wrong, (X, W), exact_norm).ok


def test_a_gradient_that_alone_is_rounded_has_lost_precision():
    rule = made(jnp.sin, lambda dy, x: ((dy * jnp.cos(x)).astype(jnp.bfloat16).astype(dy.dtype),))
    report = quick(rule, (X,), jnp.sin)
    assert named(report) == ["precision_lost"]


def test_float32_inside_is_the_choice_of_who_gives_float32():
    def backward(dy, x):
        rounded = dy.astype(jnp.float32) * jnp.cos(x).astype(jnp.float32)
        return (rounded.astype(x.dtype),)

    rule = made(jnp.sin, backward)
    assert quick(rule, (X.astype(np.float32),), jnp.sin).ok
    assert not quick(rule, (X,), jnp.sin).ok


@pytest.mark.parametrize("reference", [None, "itself"])
def test_an_output_of_a_fixed_dtype(reference):
    def double(x):
        return x.astype(jnp.float32) * 2

    assert quick(double, (np.ones(3),), reference and double).ok
    wrong = made(double, lambda dy, x: (dy.astype(x.dtype) * 3,))
    assert not quick(wrong, (np.ones(3),), reference and double).ok


def test_a_sum_in_16_bits_shows():
    def total(dy):
        return jax.lax.scan(lambda c, r: (c + r, None), jnp.zeros((), dy.dtype), dy)[0]

    args = (np.ones(2048, jnp.bfloat16), np.ones((), jnp.bfloat16))
    rule = made(lambda x, b: x + b, lambda dy, x, b: (dy, total(dy)))
    report = quick(rule, args, lambda x, b: x + b)
    assert {(f.argument, f.dtype) for f in report.failures} == {("b", "bfloat16")}


# Tolerances


@pytest.mark.parametrize("allowed", [{"rtol": 1e-3}, {"tolerance": 1e-3}, {"atol": 1e-2}])
def test_a_tolerance_reaches_every_comparison(allowed):
    rule = made(
        lambda x: jnp.sin(x) * (1 + 1e-5),
        lambda dy, x: (jnp.cos(x) * dy * (1 + 1e-5 * jnp.sign(dy)),),  # not even linear
    )
    assert not quick(rule, (X,), jnp.sin).ok
    assert quick(rule, (X,), jnp.sin, **allowed).ok


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"rtol": "1e-3"}, TypeError, "rtol must be a number, but got '1e-3'"),
        ({"atol": -1.0}, ValueError, "atol must be finite and at least 0, but got -1.0"),
        ({"rtol": 1e-3, "tolerance": 1e-3}, ValueError, "are the same: give one of them"),
        ({"require": "vmap"}, TypeError, "require must be a tuple or a list, but got 'vmap'"),
        ({"require": ["hessian"]}, ValueError, "require must be of 'value'.* but got 'hessian'"),
    ],
)
def test_bad_usage(keywords, error, message):
    with pytest.raises(error, match=message):
        quick(jnp.sin, (X,), **keywords)


# Complex numbers

Z = normal(4, (2, 3)) + 1j * normal(5, (2, 3))


@pytest.mark.parametrize(
    "rule", [lambda z: z * z, lambda z: jnp.abs(z) ** 2, jnp.conj, lambda z: (z * X[:2, :3]).real]
)
def test_complex_arguments(rule):
    assert quick(rule, (Z,), rule).ok
    assert quick(rule, (Z,)).ok


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (lambda dy, z: jnp.conj(2 * z * dy), "conjugate_missing"),
        (lambda dy, z: 2 * jnp.conj(z) * dy, "conjugate_missing"),
        (lambda dy, z: 2 * z * jnp.conj(dy), "conjugate_missing"),
        (lambda dy, z: (2 * z * dy).real.astype(z.dtype), "conjugate_missing"),
        (lambda dy, z: -2 * z * dy, "wrong_sign"),
        (lambda dy, z: 0 * z * dy, "argument_constant"),
    ],
)
def test_wrong_complex_gradients(wrong, name):
    rule = made(lambda z: z * z, lambda dy, z: (wrong(dy, z),))
    report = quick(rule, (Z,), lambda z: z * z)
    assert named(report) == [name]
    assert not quick(rule, (Z,)).ok


def test_a_wrong_complex_value():
    (failure,) = quick(lambda z: z * 3, (Z,), lambda z: z * 2).failures
    assert failure.oracle == "value"
    assert np.iscomplexobj(failure.got)


# What is unused


def test_an_output_that_nobody_uses():
    rule = jax.custom_vjp(lambda x: (jnp.sin(x), jnp.cos(x)))

    def backward(x, dy):
        unused = [type(d).__name__ == "SymbolicZero" for d in dy]
        if unused[0]:
            return (dy[1] * jnp.sin(x),)  # the sign is wrong
        return (dy[0] * jnp.cos(x) - (0 if unused[1] else dy[1] * jnp.sin(x)),)

    def forward(x):
        return (jnp.sin(x.value), jnp.cos(x.value)), x.value

    rule.defvjp(forward, backward, symbolic_zeros=True)
    report = quick(rule, (X,), lambda x: (jnp.sin(x), jnp.cos(x)))
    assert named(report) == ["unused_wrong"]
    assert report.levels["unused"] == "does not hold"
    assert "with no output used but output 1" in report.failures[0].message


def test_an_argument_that_alone_is_differentiated():
    rule = jax.custom_vjp(jnp.multiply)

    def forward(x, w):
        return x.value * w.value, (x.value, w.value, w.perturbed)

    def backward(kept, dy):
        x, w, is_asked = kept
        return (dy * w if is_asked else dy), (dy * x if is_asked else None)

    rule.defvjp(forward, backward, symbolic_zeros=True)
    report = quick(rule, (X, X + 1), jnp.multiply)
    assert named(report) == ["unused_wrong"]


# x64 on and off


def test_a_rule_that_needs_x64_off(without_x64):
    x = jnp.arange(5.0)
    rule = jax.custom_vjp(lambda x: x[2])
    rule.defvjp(lambda x: (x[2], x.shape), lambda shape, dy: (jnp.zeros(shape).at[2].add(dy),))
    assert quick(rule, (x,), lambda x: x[2]).ok
    with jax.enable_x64(True):
        (failure,) = quick(rule, (x,), lambda x: x[2]).failures
    assert failure.oracle == "structure"


@pytest.mark.parametrize("reference", [None, jnp.square])
def test_a_kernel_of_float32_alone(reference, without_x64):
    def value(x):
        assert x.dtype == jnp.float32, "a kernel of float32"
        return x * x

    right = made(value, lambda dy, x: (2 * x * dy,))
    report = quick(right, (jnp.arange(1.0, 6.0),), reference)
    assert report.ok
    assert any("AssertionError: a kernel of float32" in note for note in report.notes)
    wrong = made(value, lambda dy, x: (2 * x * x * dy,))
    assert not quick(wrong, (jnp.arange(2.0, 7.0),), reference).ok


# Levels


def documented():
    """JAX's documented example: its forward pass calls the rule itself."""
    rule = jax.custom_vjp(lambda x, y: jnp.sin(x) * y)
    rule.defvjp(
        lambda x, y: (rule(x, y), (jnp.cos(x), jnp.sin(x), y)),
        lambda kept, dy: (kept[0] * dy * kept[2], kept[1] * dy),
    )
    return rule


def test_what_is_missing_at_second_order_alone_is_a_note():
    args = X, X + 1
    report = check_rule(documented(), args, lambda x, y: jnp.sin(x) * y)
    assert report.ok
    assert report.levels == dict.fromkeys(
        ["value", "gradient", "jit", "vmap", "scan", "checkpoint", "reverse_over_reverse"], "holds"
    ) | {"forward_over_reverse": "is missing"}
    assert any("let it call the function without the decorator" in note for note in report.notes)
    assert "is missing: forward_over_reverse" in str(report)


@pytest.mark.parametrize("asked", ["second_order", "forward_over_reverse"])
def test_a_level_that_is_required_fails(asked):
    report = check_rule(documented(), (X, X + 1), require=[asked])
    assert [failure.transform for failure in report.failures] == ["second_order"]


def test_a_second_derivative_that_is_wrong():
    rule = made(jnp.sin, lambda dy, x: (jnp.cos(jax.lax.stop_gradient(x)) * dy,))
    for reference in (jnp.sin, None):
        report = check_rule(rule, (X,), reference)
        assert report.ok
        assert report.levels["reverse_over_reverse"] == "does not hold"
        assert report.levels["forward_over_reverse"] == "does not hold"
        assert named(check_rule(rule, (X,), reference, require=["second_order"]))[0] == (
            "second_order_wrong"
        )


def test_wrong_only_when_compiled():
    def backward(dy, x):
        factor = 2.0 if isinstance(dy, jax.core.Tracer) else 1.0
        return (factor * jnp.cos(x) * dy,)

    report = check_rule(made(jnp.sin, backward), (X,), jnp.sin)
    assert named(report) == ["compiled_only"]


# The edge of a domain


@jax.custom_jvp
def root(x):
    return jnp.sqrt(x)


@root.defjvp
def root_slope(x, dx):
    (x,), (dx,) = x, dx
    return jnp.sqrt(x), jnp.where(x < 1e-3, 0.2, 1.0) * dx / (2 * jnp.sqrt(x))


@jax.custom_jvp
def arccos(x):
    return jnp.arccos(x)


@arccos.defjvp
def arccos_slope(x, dx):
    (x,), (dx,) = x, dx
    return jnp.arccos(x), -dx / jnp.sqrt(1 - jnp.clip(x, -1 + 1e-7, 1 - 1e-7) ** 2)


@pytest.mark.parametrize("reference", [None, jnp.sqrt])
def test_a_number_near_the_edge_of_a_domain_hides_nothing(reference):
    x = np.array([1e-8, 2.0])
    assert not quick(root, (x,), reference).ok
    assert quick(jnp.sqrt, (x,), reference).ok


@pytest.mark.parametrize("reference", [None, jnp.arccos])
def test_where_steps_leave_a_domain_there_is_no_kink(reference):
    x = np.array([0.3, 1 - 1e-9])
    assert not quick(arccos, (x,), reference).ok
    assert quick(jnp.arccos, (x,), reference).ok


def test_what_is_ill_conditioned_in_a_constant_may_be_rounded_otherwise_by_jit():
    c = 1 - 1e-7
    assert check_rule(
        lambda x: x / jnp.sqrt(1 - jnp.minimum(c, jnp.maximum(x, c)) ** 2), (np.array([0.5, 0.7]),)
    ).ok


def test_a_pullback_that_is_not_linear_around_a_value_of_8_bits():
    def value(x, s):
        return (x / s).astype(jnp.float8_e4m3fn).astype(x.dtype) * s

    rule = made(value, lambda dy, x, s: (dy, s * 7.0))
    (failure,) = quick(rule, (X, np.array(1.0))).failures
    assert (failure.argument, failure.oracle) == ("s", "linearity")


def test_an_index_that_is_an_array_of_numpy(without_x64):
    index = np.array([0, 2, 1])

    def picked(x):
        return jnp.sin(x)[jnp.arange(3), index]

    report = quick(picked, (np.ones((3, 3), np.float32),), picked)
    assert report.ok
    assert report.notes == []


@pytest.mark.parametrize("transforms", [(), ("vmap", "jit")])
def test_precision_that_shows_late_ends_in_a_verdict(transforms, monkeypatch):
    """The first comparison that fails may be one in the dtype of the arguments."""
    before = Trial.coarsen
    monkeypatch.setattr(Trial, "coarsen", lambda trial, given: before(trial, given) or True)
    rule = made(lambda x: jnp.sin(x), lambda dy, x: (jnp.cos(x) * dy * _half_in_float32(x),))
    report = check_rule(rule, (X.astype(np.float32),), jnp.sin, transforms=transforms)
    assert {failure.dtype for failure in report.failures} == {"float32"}
    assert len(report.notes) == len(set(report.notes))


def _half_in_float32(x):
    return 0.5 if x.dtype == jnp.float32 else 1.0


@pytest.mark.parametrize(
    ("forward", "backward", "said"),
    [
        (
            lambda x: (x * x, 1 / 0),
            lambda x, dy: (dy,),
            "the forward pass of a differentiated call",
        ),
        (lambda x: (x * x, x), lambda x, dy: (1 / 0,), "the backward pass"),
    ],
)
def test_a_report_says_which_pass_fails(forward, backward, said):
    @jax.custom_vjp
    def square(x):
        return x * x

    square.defvjp(forward, backward)
    (failure,) = check_rule(square, (jnp.ones(3),)).failures
    assert f"] {said} fails: ZeroDivisionError: division by zero" in failure.message
