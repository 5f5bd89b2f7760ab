"""Arguments that have to stay in a domain: points stay there, and gradients agree in it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxconv.check import check_rule
from jaxconv.check.domains import DOMAINS, domain_of, permutation_of, projected


def numbers(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def definite(seed):
    a = numbers(seed, 2, 3, 5)
    return a @ np.swapaxes(a, -1, -2) + 0.1 * np.eye(3)


def on_sphere(seed):
    a = numbers(seed, 4, 3)
    return a / np.linalg.norm(a, axis=-1, keepdims=True)


POINTS = {
    "positive": np.exp(3 * numbers(0, 3, 4)),
    "probability": 1 / (1 + np.exp(-4 * numbers(1, 3, 4))),
    "sorted": np.sort(numbers(2, 3, 6), axis=-1),
    "symmetric": definite(3) - 2 * np.eye(3),
    "positive_definite": definite(4),
    "unit_sphere": on_sphere(5),
    "simplex": np.exp(2 * numbers(6, 3, 5)) / np.exp(2 * numbers(6, 3, 5)).sum(-1, keepdims=True),
    "permutation": np.argsort(numbers(7, 3, 6), axis=-1).astype(float),
}


def entropy(p):
    return -jnp.sum(p * jnp.log(p), axis=-1)


FUNCTIONS = {
    "positive": lambda x: jnp.log(x) * x,
    "probability": lambda p: jnp.log(p) - jnp.log1p(-p),
    "sorted": lambda x: jnp.sqrt(jnp.diff(x, axis=-1)),
    "symmetric": lambda x: x @ x,
    "positive_definite": lambda x: jnp.linalg.cholesky(x, symmetrize_input=False),
    "unit_sphere": lambda x: jnp.arccos(jnp.clip(x[..., 0], -1, 1)),
    "simplex": entropy,
    "permutation": lambda x: x**2,
}
"""A function for each domain; most of them are NaN, or something else, outside of it."""


QUICK = [
    pytest.param(name, marks=() if name in ("positive", "unit_sphere") else pytest.mark.thorough)
    for name in DOMAINS
]


def guarded(name):
    """Return the function of a domain, which complains of points outside of it."""

    def complain(x):
        if DOMAINS[name].why_not(np.asarray(x)):
            raise AssertionError(f"{x} is not {name}")
        return np.zeros(())

    def call(x):
        return jax.pure_callback(complain, jax.ShapeDtypeStruct((), x.dtype), x)

    @jax.custom_jvp
    def watched(x):
        return x + call(x)

    watched.defjvps(lambda t, y, x: t)
    return lambda x: FUNCTIONS[name](watched(x))


@pytest.mark.parametrize("name", QUICK)
def test_points_stay_inside_and_a_right_gradient_holds(name):
    seen = guarded(name)
    report = check_rule(
        seen, (POINTS[name],), FUNCTIONS[name], domain=name, transforms=("jit", "scan")
    )
    assert report.ok, report
    assert not any("NaN" in note for note in report.notes)


def wrong(function):
    rule = jax.custom_vjp(function)

    def backward(x, dy):
        (dx,) = jax.vjp(function, x)[1](dy)
        return (dx * (1 + 0.01 * jnp.cos(jnp.arange(dx.size)).reshape(dx.shape)),)

    rule.defvjp(lambda x: (function(x), x), backward)
    return rule


@pytest.mark.parametrize("with_reference", [True, False])
@pytest.mark.parametrize("name", QUICK)
def test_a_wrong_gradient_fails(name, with_reference):
    function = FUNCTIONS[name]
    reference = function if with_reference else None
    report = check_rule(wrong(function), (POINTS[name],), reference, domain=name, transforms=())
    if name == "permutation" and not with_reference:  # a point has no neighbours
        assert report.notes == ["differences cannot tell d(x): it cannot be moved in its domain"]
    else:
        assert not report.ok
        assert "is not" not in str(report)


def with_backward(function, backward):
    rule = jax.custom_vjp(function)
    rule.defvjp(lambda x: (function(x), x), backward)
    return rule


def test_conventions_across_the_domain_do_not_matter():
    """Half of a symmetric gradient, a part along x, a constant: all are no change inside."""

    def lower(x, dy):
        (dx,) = jax.vjp(jnp.linalg.inv, x)[1](dy)
        both = dx + jnp.swapaxes(dx, -1, -2)
        return (jnp.tril(both) - jnp.tril(jnp.triu(both)) / 2,)

    inverse = with_backward(jnp.linalg.inv, lower)
    assert not check_rule(inverse, (definite(1),), jnp.linalg.inv, transforms=()).ok
    for name in ("symmetric", "positive_definite"):
        report = check_rule(inverse, (definite(1),), jnp.linalg.inv, domain=name)
        assert report.ok, report

    def radial(x, dy):
        (dx,) = jax.vjp(jnp.sin, x)[1](dy)
        return (dx + 3 * x * jnp.sum(dy, -1, keepdims=True),)

    on_it = check_rule(with_backward(jnp.sin, radial), (on_sphere(2),), jnp.sin,
                       domain="unit_sphere", transforms=("jit",))  # fmt: skip
    assert on_it.ok, on_it

    def shifted(p, dy):
        return (dy[..., None] * (-jnp.log(p) - 1 + 7),)

    inside = check_rule(with_backward(entropy, shifted), (POINTS["simplex"],), entropy,
                        domain="simplex", transforms=("jit",))  # fmt: skip
    assert inside.ok, inside


def test_the_end_of_a_domain():
    """Elements at the end are not moved, and their gradients are compared all the same."""
    p = np.array([0.0, 0.25, 0.5, 1.0])

    def root(p):
        return jnp.sqrt(1 + p) * jnp.where((p < 0) | (p > 1), jnp.nan, 1.0)

    assert check_rule(root, (p,), root, domain=(0, 1)).ok

    def at_the_end(p, dy):
        return (dy / (2 * jnp.sqrt(1 + p)) * jnp.where(p == 1, 2, 1),)

    report = check_rule(with_backward(root, at_the_end), (p,), root, domain=[(0, 1)])
    assert [(f.argument, f.index) for f in report.failures] == [("p", (3,))]


def test_each_way_to_give_a_domain():
    def f(params, p, i):
        return params["w"] * jnp.log(p)[i]

    args = ({"w": np.array([2.0, -1.0, 3.0])}, POINTS["probability"][0], np.array([2, 0, 1]))
    for domain in (
        {"p": "probability"}, {1: (0, 1)}, [None, "probability", "permutation"],
        {"p": (0, None), "params['w']": (-5, 5)}, {1: lambda p: jnp.clip(p, 1e-9, 1 - 1e-9)},
    ):  # fmt: skip
        assert check_rule(f, args, f, domain=domain, transforms=()).ok


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        ("positiv", "domain must be one of 'positive', .* but got 'positiv'"),
        ("positive", "x is not in its domain, positive: it has the element -1"),
        ((2, 1), r"domain must have an entry for each of the 1 arguments, but got 2"),
        ({"y": "positive"}, "domain must name arguments, x, but got 'y'"),
        ({3: "positive"}, "domain must name arguments 0 to 0, but got 3"),
        (["sorted", None], "domain must have an entry for each of the 1 arguments, but got 2"),
        ("sorted", "x is not in its domain, sorted: its last axis descends"),
        ("symmetric", r"x is not in its domain, symmetric: its shape is \(3,\)"),
        ("simplex", "simplex: it has the element -1"),
        ("unit_sphere", "unit_sphere: the length of its last axis is not 1"),
        ("permutation", "permutation: its last axis is not a permutation of 0 to 2"),
        (permutation_of([1, 2, 3]), "its last axis does not consist of the given numbers"),
        (projected(lambda x: x / 2), "the projection moves it by 1"),
        (projected(lambda x: x[:1]), r"returns the shape \(1,\) for \(3,\)"),
        ((None, 1), "between -inf and 1: it has the element 2"),
    ],
)
def test_bad_domains_are_refused(domain, message):
    x = np.array([2.0, -1.0, 0.5])
    with pytest.raises(ValueError, match=message):
        check_rule(lambda x: x, (x,), domain=domain)


@pytest.mark.parametrize("name", DOMAINS)
def test_moves_agree_with_the_tangent_space(name):
    domain, x = domain_of(name), jnp.asarray(POINTS[name])
    change = domain.direction(np.asarray(x), numbers(8, *x.shape))
    tangent, move = domain.tangent(x), domain.move(x)
    h = 1e-5
    step = (move(h * change) - move(-h * change)) / (2 * h)
    want = 0 * x if name == "permutation" else tangent(change)
    np.testing.assert_allclose(step, want, atol=1e-8)
    np.testing.assert_allclose(tangent(tangent(change)), tangent(change), atol=1e-12)
    for size in (0.1, 1.0, 100.0):
        assert not domain.why_not(np.asarray(x + move(size * change)))
        settled = domain.settled(np.asarray(x + size * change))
        assert not domain.why_not(settled)
