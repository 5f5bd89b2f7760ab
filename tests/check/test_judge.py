"""check_rule: right rules hold, wrong ones do not, and it says where."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxconv
import jaxconv.reference
from jaxconv.check import GradientError, check_rule
from jaxconv.check.trial import Trial, called_with

quick = partial(check_rule, transforms=())


def array(seed, *shape, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def rule_of(value, backward):
    """A rule with this value and backward(args, dy)."""
    rule = jax.custom_vjp(value)
    rule.defvjp(lambda *args: (value(*args), args), backward)
    return rule


def product(x, w):
    return x @ w


X, W = array(0, 4, 3), array(1, 3, 5)


def test_a_right_rule_holds_everywhere():
    right = rule_of(product, lambda args, dy: (dy @ args[1].T, args[0].T @ dy))
    report = check_rule(right, (X, W), product)
    assert report.ok
    assert not report.notes
    assert report.checks > 30
    report.raise_if_failed()


@pytest.mark.parametrize("reference", [product, None])
def test_a_wrong_factor_is_found_where_it_is(reference):
    wrong = rule_of(product, lambda args, dy: (dy @ args[1].T, 2 * args[0].T @ dy))
    report = quick(wrong, (X, W), reference)
    (failure,) = report.failures
    assert failure.argument == "w"
    assert failure.oracle == ("differences" if reference is None else "autodiff")
    assert failure.off == failure.size == 15
    assert failure.where == "everywhere"
    assert failure.got == pytest.approx(2 * failure.expected, rel=1e-6)
    assert failure.error == pytest.approx(abs(failure.expected), rel=1e-6)
    with pytest.raises(GradientError, match=r"d\(w\)"):
        report.raise_if_failed()
    read = json.loads(report.to_json())
    assert read["ok"] is False
    assert read["failures"][0]["index"] == list(failure.index)


def normalize(x):
    return (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-5)


def test_what_only_random_cotangents_show():
    """Of a sum the gradient of a normalization is 0, and so is that of a rule that says 0."""
    zero = rule_of(normalize, lambda args, dy: (0 * dy,))
    total = [jax.grad(lambda x, f=f: jnp.sum(f(x)))(X) for f in (zero, normalize)]
    np.testing.assert_allclose(*total, atol=1e-5)
    assert quick(normalize, (X,), normalize).ok
    assert not quick(zero, (X,), normalize).ok


def test_one_wrong_element_of_a_hundred_thousand():
    def backward(args, dy):
        return (jnp.cos(args[0]) * dy).at[77_777].multiply(1.001)

    x = array(2, 100_000)
    report = quick(rule_of(jnp.sin, lambda *a: (backward(*a),)), (x,), jnp.sin)
    (failure,) = report.failures
    assert (failure.index, failure.off) == ((77_777,), 1)
    assert failure.where == "one element"


def test_a_scale_error_of_a_thousandth_in_float32_alone():
    """In a rule that does not take float64."""

    def only_float32(x):
        if x.dtype != jnp.float32:
            raise TypeError("float32 only")
        return jnp.sin(x)

    def backward(factor):
        return lambda args, dy: ((factor * jnp.cos(args[0]) * dy).astype(jnp.float32),)

    x = array(3, 1000)
    right = quick(rule_of(only_float32, backward(1.0)), (x,), jnp.sin)
    assert right.ok
    assert any("float64" in note for note in right.notes)
    wrong = quick(rule_of(only_float32, backward(1.001)), (x,), jnp.sin)
    assert wrong.failures[0].dtype == "float32"


@pytest.mark.parametrize("rule_promotes", [False, True])
@pytest.mark.parametrize(("factor", "holds"), [(1.0, True), (1.001, False)])
def test_a_loss_over_data_in_float32(factor, holds, rule_promotes):
    """The reference reads an array of the program, and its ops take one dtype alone."""
    x = array(4, 2, 5, 5, 3).astype(jnp.float32)

    def loss(w):
        return jnp.sum(jaxconv.reference.conv(x, w) ** 2)

    def promoted(w):
        return jnp.sum(jaxconv.conv(x.astype(w.dtype), w) ** 2)

    def backward(args, dy):
        (dw,) = jax.vjp(value, *args)[1](dy)
        return (factor * dw,)

    w = array(5, 3, 3, 3, 4).astype(jnp.float32)
    with jax.enable_x64(False):
        value = promoted if rule_promotes else loss
        report = check_rule(rule_of(value, backward), (w,), loss)
    assert report.ok == holds
    who = "the reference" if rule_promotes else "the rule"
    assert any(note.startswith(f"{who} does not take float64") for note in report.notes)
    assert any("which is rounded: the reference does not" in note for note in report.notes)
    if not holds:
        assert report.failures[0].diagnosis.name == "constant_factor"


def test_dtypes_that_jax_does_not_forget_get_an_error_that_says_what_to_do():
    def mixed():
        raise TypeError("lax.add requires arguments to have the same dtypes, got int64, int32.")

    with pytest.raises(ValueError, match="Make it an array of JAX, or copy it before each check"):
        called_with(mixed, x64=False)()


def test_a_mistake_in_one_narrow_dtype():
    def backward(args, dy):
        factor = {"float32": 1.001, "bfloat16": 2.0}.get(dy.dtype.name, 1.0)
        return (jnp.asarray(factor, dy.dtype) * jnp.cos(args[0]) * dy,)

    x, rule = array(4, 300, dtype=np.float64), rule_of(jnp.sin, backward)
    assert quick(rule, (x,), jnp.sin).ok
    for dtype in ("float32", "bfloat16"):
        report = quick(rule, (x,), jnp.sin, dtypes=(dtype,))
        assert {f.dtype for f in report.failures} == {dtype}
    assert quick(jnp.sin, (x,), jnp.sin, dtypes=("float32", "bfloat16")).ok


@pytest.mark.thorough
def test_a_mistake_in_a_narrow_dtype_where_gradients_jump():
    """The maximum of a window is another one after a rounding error, which excuses no factor."""
    pool = partial(jaxconv.max_pool, window=3, stride=2)

    def backward(args, dy):
        (dx,) = jax.vjp(pool, *args)[1](dy)
        return ((2 if dy.dtype == jnp.bfloat16 else 1) * dx,)

    x, reference = array(7, 2, 12, 12, 3), partial(jaxconv.reference.max_pool, window=3, stride=2)
    report = quick(rule_of(pool, backward), (x,), reference, dtypes=("bfloat16",))
    assert {f.dtype for f in report.failures} == {"bfloat16"}
    assert quick(pool, (x,), reference, dtypes=("bfloat16", "float16")).ok


@pytest.mark.parametrize("reference", [True, False])
def test_where_nothing_but_rounding_is_left_nothing_is_wrong(reference):
    """x/|x| of single numbers is ±1: its gradient cancels, to 1e-16 but not to 0."""

    def direction(x):
        return x / jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True))

    assert quick(direction, (array(6, 9, 1),), direction if reference else None).ok


def test_at_a_kink_differences_are_asked_beside_it():
    """Of max(x, 0) at 0 they say ½, as exactly as anywhere."""
    x = np.array([[0.0, 1.0, -2.0], [0.0, 0.5, 0.0]])
    report = quick(jax.nn.relu, (x,), jax.nn.relu)
    assert report.ok
    assert report.notes == ["differences cannot tell d(x): it is at a kink or a tie"]
    twice = rule_of(jax.nn.relu, lambda args, dy: (jnp.where(args[0] > 0, 2 * dy, 0),))
    (failure,) = quick(twice, (x,)).failures
    assert failure.diagnosis.name == "constant_factor"


def test_a_kink_is_noted_and_no_failure():
    x = np.array([0.0, 1.0, -2.0], np.float32)
    report = quick(jaxconv.relu, (x,), lambda x: jnp.maximum(x, 0))  # whose slope at 0 is ½
    assert report.ok
    assert "kink" in report.notes[0]
    ties = np.array([1, 1, 0, 1], np.float32).reshape(1, 4, 1)
    every = partial(jaxconv.max_pool, window=2, ties="all")
    assert quick(every, (ties,), partial(jaxconv.reference.max_pool, window=2)).ok


def test_a_kink_hides_no_error():
    def backward(args, dy):
        return (jnp.where(args[0] > 0, 2 * dy, 0),)

    wrong = rule_of(lambda x: jnp.where(x <= 0, 0, x), backward)
    x = np.array([0.0, 1.0, -2.0, 3.0], np.float32)
    report = quick(wrong, (x,), lambda x: jnp.maximum(x, 0))
    assert not report.ok
    assert report.failures[0].index in ((1,), (3,))


@pytest.mark.thorough
def test_arguments_are_any_trees():
    """Integers, booleans, keys, Python's numbers, strings of options and None are let be."""

    def loss(params, labels, key, scale, nothing, flag):
        noise = jax.random.normal(key, ())
        x = params["layers"][0] * scale + noise.astype(params["b"].dtype)
        return {"loss": jnp.sum(jnp.sin(x)[labels]) + jnp.where(flag, params["b"], 0), "n": labels}

    args = (
        {"layers": [array(0, 5)], "b": np.float32(2.0)},
        np.array([0, 3, 3]), jax.random.key(0), 3.0, None, np.array(True),
    )  # fmt: skip
    assert check_rule(loss, args, loss, transforms=("jit", "vmap")).ok

    def wrong(params, *rest):
        b = params["b"] + 0.5 * (params["b"] - jax.lax.stop_gradient(params["b"]))
        return loss({**params, "b": b}, *rest)

    report = quick(wrong, args, loss)
    assert [f.argument for f in report.failures] == ["params['b']"]


def test_a_wrong_value():
    report = quick(jnp.sin, (X,), jnp.cos)
    assert report.failures[0].oracle == "value"
    assert report.failures[0].argument == ""
    report = quick(lambda x: x[:2], (X,), lambda x: x)
    assert report.failures[0].oracle == "value"
    assert "form" in report.failures[0].message


def test_a_backward_pass_that_fails():
    crooked = rule_of(product, lambda args, dy: (dy, args[0].T @ dy))
    report = quick(crooked, (X, W), product)
    assert report.failures[0].oracle == "structure"


def test_a_pullback_that_is_not_linear():
    def backward(args, dy):
        return (jnp.cos(args[0]) * jnp.where(jnp.abs(dy) < 2.5, dy, 2.5 * jnp.sign(dy)),)

    clipped = rule_of(jnp.sin, backward)
    report = check_rule(clipped, (array(5, 4, 4),), None, transforms=(), cotangents=2)
    assert {f.oracle for f in report.failures} <= {"linearity", "differences"}
    assert not report.ok


def test_a_residual_from_another_call():
    """Kept beside JAX, the last call's input is what every backward pass finds."""
    last = {}

    @jax.custom_vjp
    def stale(x):
        return jnp.sin(x)

    def forward(x):
        last["x"] = x
        return jnp.sin(x), None

    stale.defvjp(forward, lambda _, dy: (jnp.cos(last["x"]) * dy,))
    report = quick(stale, (X,), jnp.sin)
    assert not report.ok
    assert report.failures[0].oracle in ("determinism", "structure")


@pytest.mark.parametrize("transform", ["vmap", "second_order"])
def test_what_fails_under_a_transformation_alone(transform):
    @jax.custom_vjp
    def rule(x):
        return jnp.sin(x)

    def backward(x, dy):
        if transform == "vmap":  # a callback that does not say what to do there
            shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
            return (jax.pure_callback(np.cos, shape, x) * dy,)
        return (jnp.cos(jax.lax.stop_gradient(x)) * dy,)

    rule.defvjp(lambda x: (jnp.sin(x), x), backward)
    report = check_rule(rule, (X,), jnp.sin, transforms=("jit", transform), require=[transform])
    assert {f.transform for f in report.failures} == {transform}
    assert report.failures[0].message.startswith(f"[autodiff, float64 under {transform}]")


@pytest.mark.parametrize("rule", [jax.nn.gelu, jax.nn.softmax, jax.nn.logsumexp, jax.nn.relu6])
def test_functions_of_jax(rule):
    assert quick(rule, (X,)).ok


def test_layers_of_flax_and_losses_of_optax():
    linen = pytest.importorskip("flax.linen", reason="Flax comes with the extra test")
    optax = pytest.importorskip("optax", reason="optax comes with the extra train")

    with jax.numpy_dtype_promotion("standard"):
        layer = linen.Dense(5)
        params = layer.init(jax.random.key(0), X)
        assert quick(layer.apply, (params, X)).ok
        labels = np.array([0, 2, 1, 1])
        loss = optax.softmax_cross_entropy_with_integer_labels
        assert quick(loss, (X, labels), lambda x, t: jaxconv.softmax_cross_entropy(
            x, t, reduction="none")).ok  # fmt: skip


def test_layers_of_equinox():
    equinox = pytest.importorskip("equinox", reason="no extra brings Equinox")
    with jax.numpy_dtype_promotion("standard"):
        layer = equinox.nn.MLP(3, 2, 4, 1, key=jax.random.key(0))
        arrays, rest = equinox.partition(layer, equinox.is_array)

        def called(arrays, x):
            return jax.vmap(equinox.combine(arrays, rest))(x)

        report = quick(called, (arrays, X), called)
    assert report.ok


def test_shard_map_on_request():
    assert check_rule(jaxconv.relu, (X,), jax.nn.relu, transforms=("shard_map",)).ok


@pytest.mark.parametrize(
    ("args", "keywords", "error", "message"),
    [
        ((3, (X,)), {}, TypeError, "rule must be callable, but got 3"),
        ((jnp.sin, (X,), 3), {}, TypeError, "reference must be callable, but got 3"),
        ((jnp.sin, X), {}, TypeError, "args must be a tuple or a list"),
        ((jnp.sin, (np.arange(3),)), {}, ValueError, "args hold no floating-point array"),
        ((jnp.sin, (X,)), {"cotangents": 0}, ValueError, "cotangents must be an int of 1 or more"),
        ((jnp.sin, (X,)), {"transforms": ("pmap",)}, ValueError, "transforms must be of 'jit'"),
        ((jnp.sin, (X,)), {"transforms": "jit"}, TypeError, "transforms must be a tuple or a list"),
        ((jnp.sin, (X,)), {"transforms": 3}, TypeError, "transforms must be .* but got 3"),
        ((jnp.sin, (X,)), {"dtypes": "float32"}, TypeError, "dtypes must be .* but got 'float32'"),
        ((jnp.sin, (X,)), {"dtypes": jnp.float32}, TypeError, "dtypes must be a tuple or a list"),
        ((jnp.sin, (X,)), {"dtypes": ("f33",)}, ValueError, "dtypes must be .* but got 'f33'"),
        ((jnp.sin, (X,)), {"dtypes": (np.int32,)}, ValueError, "must be floating-point dtypes"),
        ((jnp.sin, (X,)), {"dtypes": [None]}, ValueError, "dtypes must be .* but got None"),
        ((product, (X,)), {}, ValueError, "product cannot be called with these arguments"),
        ((jnp.sin, (X,), product), {}, ValueError, "the reference cannot be called"),
    ],
)
def test_bad_usage(args, keywords, error, message):
    with pytest.raises(error, match=message):
        check_rule(*args, **keywords)


def test_cotangents_are_not_the_arguments_of_the_same_seed():
    x = np.random.default_rng(0).standard_normal(50)
    (dy,) = Trial(lambda x: x, None, (x,), np.float32, 1, seed=0).dys[0]
    assert abs(np.corrcoef(x, dy)[0, 1]) < 0.5
