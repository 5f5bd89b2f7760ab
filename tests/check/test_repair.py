"""One change that makes a wrong gradient right: its name, its step and its line."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxconv.check import check_rule


def numbers(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def rule_of(value, backward):
    rule = jax.custom_vjp(value)
    rule.defvjp(lambda *args: (value(*args), args), backward)
    return rule


EPS = 1e-3


def norm(x, w):
    d = x - x.mean(-1, keepdims=True)
    return d * jax.lax.rsqrt((d * d).mean(-1, keepdims=True) + EPS) * (1 + w)


def norm_backward(args, dy, mean_of=(-1,), plus=1.0, eps=EPS, sign=1, once_more=1):
    x, w = args
    d = x - x.mean(-1, keepdims=True)
    r = jax.lax.rsqrt((d * d).mean(-1, keepdims=True) + eps)
    unit = d * r
    g = dy * (plus + w)
    both = g.mean(mean_of, keepdims=True) + sign * unit * (g * unit).mean(mean_of, keepdims=True)
    return r * (g - both) * once_more, (dy * unit).sum(0)


def wrong_axes(args, dy):
    x, w = args
    d = x - x.mean(-1, keepdims=True)
    r = jax.lax.rsqrt((d * d).mean(-1, keepdims=True) + EPS)
    unit, g = d * r, dy * (1 + w)
    back = g - g.mean((0, 1), keepdims=True)
    return r * (back - unit * (g * unit).mean((0, 1), keepdims=True)), (dy * unit).sum(0)


def without_epsilon(args, dy):
    x, w = args
    d = x - x.mean(-1, keepdims=True)
    r = jax.lax.rsqrt((d * d).mean(-1, keepdims=True))
    right = jax.lax.rsqrt((d * d).mean(-1, keepdims=True) + EPS)
    unit, g = d * r, dy * (1 + w)
    both = g.mean(-1, keepdims=True) + unit * (g * unit).mean(-1, keepdims=True)
    return r * (g - both), (dy * d * right).sum(0)


def squared(args, dy):
    return norm_backward(args, dy)[0] * (1 + args[1]), norm_backward(args, dy)[1]


NORM = (numbers(0, 4, 6), numbers(1, 6))


def attention(q, k):
    scores = q @ k.T
    below = jnp.tril(jnp.ones_like(scores, bool))
    return jax.nn.softmax(jnp.where(below, scores, -1e9), axis=-1)


def attention_backward(args, dy, diagonal):
    q, k = args
    scores = q @ k.T
    below = jnp.tril(jnp.ones_like(scores, bool), diagonal)
    p = jax.nn.softmax(jnp.where(below, scores, -1e9), axis=-1)
    ds = p * (dy - (p * dy).sum(-1, keepdims=True))
    return ds @ k, ds.T @ q


def huber(x, t):
    d = jnp.abs(x - t)
    return jnp.where(d < 0.7, d**2 / 2, 0.7 * d - 0.245)


def huber_backward(args, dy):
    d = args[0] - args[1]
    dx = dy * jnp.where(d < 0.7, d, 0.7 * jnp.sign(d))
    return dx, -dx


def total(x):
    return (jnp.sin(x) * x).sum(-1)


def total_without_dy(args, dy):
    (x,) = args
    return (jnp.sin(x) * dy[:, None] + jnp.cos(x) * x,)


def shared(x):
    return x[:, :-1] * 2 + x[:, 1:] ** 2


def shared_assigned(args, dy):
    (x,) = args
    dx = jnp.zeros_like(x).at[:, :-1].set(2 * dy)
    return (dx.at[:, 1:].set(2 * x[:, 1:] * dy),)


# name, value, backward, arguments, words in the sentence, the argument
MISTAKES = {
    "axes": ("wrong_axis", norm, wrong_axes, NORM, "the sum or mean runs over axis 1", "x"),
    "sign": ("wrong_sign", norm, lambda a, dy: norm_backward(a, dy, sign=-1), NORM, "", "x"),
    "parameter": ("parameter_changed", norm, lambda a, dy: norm_backward(a, dy, plus=0.0), NORM,
                  "", "x"),
    "twice": ("step_extra", norm, squared, NORM, "a factor, the result of ", "x"),
    "factor": ("step_extra", norm, lambda a, dy: norm_backward(a, dy, once_more=a[0] ** 2), NORM,
               "a factor, the result of ", "x"),
    "mask": ("mask_threshold", huber, huber_backward, (numbers(2, 8, 5), numbers(3, 8, 5)),
             "reads the result of abs", "x"),
    "dy": ("cotangent_ignored", total, total_without_dy, (numbers(4, 3, 5),),
           "is multiplied by the cotangent", "x"),
}  # fmt: skip


@pytest.mark.parametrize("with_reference", [True, pytest.param(False, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_change_has_a_name_and_a_place(mistake, with_reference):
    name, value, backward, args, words, argument = MISTAKES[mistake]
    reference = value if with_reference else None
    report = check_rule(rule_of(value, backward), args, reference, transforms=())
    failure = report.failures[0]
    assert failure.argument == argument
    assert failure.diagnosis is not None, report
    assert failure.diagnosis.name == name, report
    assert words in failure.diagnosis.sentence
    assert failure.diagnosis.residual < 1e-9


def test_the_line_is_that_of_the_step():
    report = check_rule(rule_of(huber, huber_backward), MISTAKES["mask"][3], huber, transforms=())
    lines, first = inspect.getsourcelines(huber_backward)
    line = first + next(i for i, text in enumerate(lines) if "jnp.where" in text)
    assert f"in test_repair.py:{line}, lt reads" in report.failures[0].diagnosis.sentence
    start = inspect.getsourcelines(huber_backward)[1]
    assert f"its backward pass in test_repair.py:{start}" in str(report)


@pytest.mark.parametrize(
    ("diagonal", "name"), [(1, "band_wrong"), (-1, "band_wrong"), (9, "triangle_wrong")]
)
def test_a_mask_is_named_by_where_it_is_wrong(diagonal, name):
    rule = rule_of(attention, lambda args, dy: attention_backward(args, dy, diagonal))
    args = (numbers(5, 6, 3), numbers(6, 6, 3))
    report = check_rule(rule, args, attention, transforms=())
    assert {f.diagnosis and f.diagnosis.name for f in report.failures} <= {
        name,
        None,
        "mask_missing",
    }
    assert any(f.diagnosis for f in report.failures)


def test_set_where_it_should_add():
    report = check_rule(
        rule_of(shared, shared_assigned), (numbers(7, 3, 6),), shared, transforms=()
    )
    assert report.failures[0].diagnosis.name == "last_window_only"


def test_rounds_of_a_loop_are_changed_together():
    def windows(x):
        return jnp.stack([x[i : i + 3].sum() for i in range(x.shape[0] - 2)])

    def backward(args, dy):
        (x,) = args
        dx = jnp.zeros_like(x)
        for i in range(dy.shape[0]):
            dx = dx.at[i : i + 3].add(jnp.exp(jnp.full(3, dy[i])))
        return (dx,)

    report = check_rule(rule_of(windows, backward), (numbers(8, 9),), windows, transforms=())
    diagnosis = report.failures[0].diagnosis
    assert diagnosis.name == "step_extra"
    assert "exp is left out" in diagnosis.sentence


def test_nothing_is_found_where_two_steps_are_wrong():
    def backward(args, dy):
        (x,) = args
        return (jnp.tanh(dy) * x**3,)

    report = check_rule(rule_of(jnp.sin, backward), (numbers(9, 5),), jnp.sin, transforms=())
    assert report.failures[0].diagnosis is None


def test_a_program_that_python_alone_knows_has_no_line():
    def backward(args, dy):
        (x,) = args
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return (jax.pure_callback(lambda x, dy: np.cos(x) * dy**3, shape, x, dy),)

    report = check_rule(rule_of(jnp.sin, backward), (numbers(10, 5),), jnp.sin, transforms=())
    assert not report.ok
    assert report.failures[0].diagnosis is None
