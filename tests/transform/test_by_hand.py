"""`by_hand`: what it leaves alone, and the arguments and results of a function."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from rules import assert_trees_close
from transform.small import DY, W, X, conv, is_ours, program, thorough

from jaxconv.transform import by_hand

# Functions without a convolution, and convolutions without a rule, are left as they are.


def _scan(x):
    return lax.scan(lambda c, row: (jnp.tanh(c + row), c), x[0], x)


def _control(x):
    y = lax.cond(x.sum() > 0, jnp.sin, lambda x: 2 * x, x)
    y = lax.while_loop(lambda y: y.sum() < 3, lambda y: y + 1, y)
    return lax.switch(jnp.int32(2), [jnp.sin, jnp.cos, jnp.tanh], y)


def _random(x):
    key = jax.random.key(0)
    return x + jax.random.normal(key, x.shape), jax.random.split(key)


@jax.checkpoint
def _checkpoint(x):
    return jnp.sin(jnp.sin(x))


WITHOUT = {
    "perceptron": lambda x: jax.nn.log_softmax(jax.nn.relu(x @ x.mT) @ x),
    "jit": jax.jit(lambda x: jnp.sort(x)[..., :2] + jax.nn.gelu(x)[..., :2]),
    "scan": _scan,
    "control": _control,
    "random": _random,
    "checkpoint": _checkpoint,
    "constants": lambda x: x * np.ones((1, 1, 7, 1)) + jnp.ones((1, 2, 1, 6)),
    "weak": lambda x: (2.0 * x, 3, jnp.float32(2)),
    "shapes": lambda x: jnp.pad(x.reshape(3, -1), 1)[:, ::2].astype(np.float32),
    "linear algebra": lambda x: jnp.linalg.solve(
        x[..., :6, :] + 9 * jnp.eye(6)[None, None], x[..., 0, :, None]
    ),
    "gradient": jax.grad(lambda x: jnp.sum(jax.nn.silu(x) ** 2)),
    "einsum": lambda x: jnp.einsum("nchw,nchv->hwv", x, x),
}  # fmt: skip
REFUSED = {
    "integers": lambda x: conv(x.astype(int), (3 * W).astype(int)),
    "complex": lambda x: conv(lax.complex(x, 2 * x), lax.complex(W, -W)).real,
    "float8": lambda x: conv(x.astype(jnp.float8_e4m3fn), W.astype(jnp.float8_e4m3fn)),
    "float8 to float32": lambda x: lax.conv_general_dilated(
        x.astype(jnp.float8_e5m2), W.astype(jnp.float8_e5m2), (1, 1), "SAME",
        preferred_element_type=np.float32,
    ),
    "sum of integers": lambda x: lax.reduce_window(
        x.astype(int), 0, lax.add, (1, 1, 2, 2), (1,) * 4, "VALID"
    ),
    "largest bool": lambda x: lax.reduce_window(
        x > 0, False, lax.bitwise_or, (1, 1, 2, 2), (1,) * 4, "VALID"
    ),
    "product": lambda x: lax.reduce_window(x, 1.0, lax.mul, (1, 1, 2, 2), (1,) * 4, "VALID"),
    "base dilation": lambda x: lax.reduce_window(
        x, 0.0, lax.add, (1, 1, 2, 2), (1,) * 4, "VALID", base_dilation=(1, 1, 2, 1)
    ),
    "initial value": lambda x: lax.reduce_window(
        x, 1.0, lax.add, (1, 1, 2, 2), (1,) * 4, "VALID"
    ),
    "several operands": lambda x: lax.reduce_window(
        (x, 2 * x), (0.0, 0.0), lambda a, b: (a[0] + b[0], a[1] + b[1]), (1, 1, 2, 2), (1,) * 4,
        "VALID",
    ),
    "running sums": lambda x: (jnp.cumsum(x, 1), lax.cummax(x, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", [*WITHOUT, *REFUSED])
def test_what_has_no_rule_keeps_its_program(name):
    function = {**WITHOUT, **REFUSED}[name]
    want = program(function, X)
    assert program(by_hand(function), X) == want
    assert program(jax.jit(by_hand(function)), X) == program(jax.jit(function), X)


def test_gradients_of_what_has_no_rule():
    for name in ("perceptron", "scan", "checkpoint", "complex", "base dilation"):
        function = {**WITHOUT, **REFUSED}[name]

        def total(x, function=function):
            return sum(jnp.sum(jnp.sin(y)) for y in jax.tree.leaves(function(x)))

        assert_trees_close(jax.jit(jax.grad(by_hand(total)))(X), jax.jit(jax.grad(total))(X))


def test_parts_that_have_no_rule():
    """A branch and a loop without a convolution stay the objects that they were."""

    def function(x):
        x = lax.fori_loop(0, 3, lambda i, x: jnp.sin(x), x)
        return conv(x) + lax.cond(x.sum() > 0, lambda: x, lambda: 2 * x)

    plain, ours = (jax.make_jaxpr(f)(X).jaxpr.eqns for f in (function, by_hand(function)))
    for name, param in (("scan", "jaxpr"), ("cond", "branches")):
        first, second = (
            next(e for e in eqns if e.primitive.name == name).params[param]
            for eqns in (plain, ours)
        )
        assert str(first) == str(second)


# Arguments and results


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Config:
    kernel: jax.Array
    strides: tuple = dataclasses.field(metadata={"static": True})
    scale: float = 2.0


@jax.tree_util.register_pytree_with_keys_class
class Pair:
    def __init__(self, *parts):
        self.parts = parts

    def tree_flatten_with_keys(self):
        return [(jax.tree_util.SequenceKey(i), p) for i, p in enumerate(self.parts)], None

    @classmethod
    def tree_unflatten(cls, _, parts):
        return cls(*parts)


def test_arguments_of_every_kind():
    seen = []

    def function(x, mode, activation, nothing, config, *rest, scale, bias=None, options):
        assert mode == "train"
        assert nothing is None
        assert options["name"] == "small"
        assert isinstance(config.scale, float)
        assert type(scale) is int
        assert type(rest[0]) is bool
        seen.append(rest)
        y = lax.conv(x, config.kernel, config.strides, "SAME")
        y = activation(y) * scale * config.scale + options["weights"][1].parts[0]
        return y if bias is None else y + bias

    args = (X, "train", jnp.tanh, None, Config(W, (1, 1)), True, 3.5, 2j)
    named = {"scale": 2, "options": {"name": "small", "weights": [None, Pair(X, "text")]}}
    want = function(*args, **named)
    assert_trees_close(by_hand(function)(*args, **named), want)
    assert seen[0] == seen[1]
    named["bias"] = jnp.ones((1, 2, 1, 1))
    assert_trees_close(by_hand(function)(*args, **named), want + 1)


@thorough
def test_gradients_for_trees():
    def total(config, options):
        y = lax.conv(options["x"].parts[0], config.kernel, config.strides, "SAME")
        return jnp.sum(DY * jnp.sin(y * options["scale"]))

    args = Config(W, (1, 1), 1.5), {"x": Pair(X, jnp.ones(2)), "scale": 0.5}
    got = jax.grad(by_hand(total), (0, 1))(*args)
    want = jax.grad(total, (0, 1))(*args)
    assert got[0].strides == (1, 1)
    assert_trees_close(jax.tree.leaves(got), jax.tree.leaves(want))


def test_results_of_every_kind():
    marker = object()

    def function(x):
        return {
            "y": conv(x), "text": "a", "none": None, "pair": Pair(x.sum(), marker), "number": 3,
            "function": jnp.tanh, "types": (np.float32, int), "empty": [],
            "bool": x[0, 0, 0, 0] > 0,
            "scalar": np.float64(2.5),
        }  # fmt: skip

    got, want = by_hand(function)(X), function(X)
    assert jax.tree.structure(got) == jax.tree.structure(want)
    assert got["pair"].parts[1] is marker
    assert got["function"] is jnp.tanh
    assert (got["text"], got["none"], got["number"], got["types"]) == ("a", None, 3, want["types"])
    assert type(got["scalar"]) is np.float64
    assert type(got["number"]) is int
    assert_trees_close([got["y"], got["pair"].parts[0]], [want["y"], want["pair"].parts[0]])
    assert got["bool"].dtype == bool


def test_results_keep_their_types():
    """Weak types, too, which decide what an addition gives."""

    def function(x, n):
        return n * 2.0, jnp.asarray(1.0) * 1, x.astype(np.float32), conv(x), x.argmax(), x > 0, n

    for args in ((X, jnp.asarray(2.0)), (X, 2), (X, np.float32(2))):
        got, want = by_hand(function)(*args), function(*args)
        for a, b in zip(got, want, strict=True):
            assert jax.typeof(a) == jax.typeof(b)


@pytest.mark.parametrize("static_argnums", [1, (1,), [1, -1], -2, (1, 2)])
def test_static_arguments(static_argnums):
    """Arrays among them are not traced, so that Python may read them."""

    def function(x, kernel, steps):
        assert isinstance(kernel, np.ndarray)
        return float(kernel.sum()) * lax.conv(x, jnp.asarray(kernel), (1, 1), "SAME") * len(steps)

    args = X, np.asarray(W), [np.float64(1), 2]
    got = by_hand(function, static_argnums=static_argnums)(*args)
    assert_trees_close(got, function(*args))


@thorough
def test_keys_typed_and_raw():
    def function(key, x, counts):
        a, b = jax.random.split(key)
        noise = jax.random.normal(a, x.shape, x.dtype)
        return conv(x + noise), b, jax.random.randint(b, counts.shape, 0, 9) + counts

    counts = jnp.arange(3)
    for make in (jax.random.key, jax.random.PRNGKey, partial(jax.random.key, impl="rbg")):
        got, want = (jax.jit(f)(make(3), X, counts) for f in (by_hand(function), function))
        assert got[1].dtype == want[1].dtype
        data = [(y, jax.random.key_data(b), c) for y, b, c in (got, want)]
        assert_trees_close(*data)


@pytest.mark.parametrize(
    "function",
    [
        partial(lax.conv, window_strides=(1, 2), padding="SAME"),
        jax.jit(conv),
        by_hand(conv),
        type("Layer", (), {"__call__": staticmethod(conv)})(),
        type("Layer", (), {"call": lambda self, x, w: conv(x, w)})().call,
        jax.vmap(lambda x, w: conv(x[None], w)[0], (0, None)),
        jax.checkpoint(conv),
        jax.named_call(conv, name="named"),
    ],
    ids=["partial", "jit", "by_hand", "callable", "method", "vmap", "checkpoint", "named_call"],
)
def test_callables_of_every_kind(function):
    assert_trees_close(by_hand(function)(X, W), function(X, W))
    assert is_ours(function, X, W)


def test_the_name_and_the_signature_stay():
    def function(x: int, *, scale: float = 2.0):
        """Say something."""
        return scale * conv(x)

    ours = by_hand(function)
    assert (ours.__name__, ours.__doc__) == ("function", "Say something.")
    assert ours.__wrapped__ is function


def test_errors_of_the_function_are_its_own():
    class OwnError(Exception):
        pass

    def function(x):
        conv(x)
        raise OwnError("text")

    with pytest.raises(OwnError, match="text"):
        by_hand(function)(X)
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        by_hand(conv)(X, z=1)
    with pytest.raises(jax.errors.TracerBoolConversionError):
        by_hand(lambda x: conv(x) if x.sum() > 0 else x)(X)


def test_nothing_is_left_after_an_error():
    """A failed trace leaves no trace behind."""
    with pytest.raises(ZeroDivisionError):
        by_hand(lambda x: conv(x) / (1 // 0))(X)
    assert_trees_close(by_hand(conv)(X), conv(X))


def test_arrays_of_numpy_and_scalars():
    def function(x, n, flag, scale):
        return jnp.where(flag, conv(x) * n, x) * scale

    args = np.asarray(X), np.ones((1, 1, 1, 6)), np.array(True), np.float64(2)
    assert_trees_close(by_hand(function)(*args), function(*args))


def test_arrays_of_strings():
    """A batch of a data set carries such arrays."""

    def function(batch):
        assert batch["name"][0] == "a"
        return conv(batch["image"])

    assert_trees_close(by_hand(function)({"image": X, "name": np.array(["a", "b", "c"])}), conv(X))


def test_a_result_without_tangent():
    """jax.grad with allow_int returns float0 for integers."""

    def gradient(n, x):
        return jax.grad(lambda n, x: jnp.sum(jnp.sin(x * n)), (0, 1), allow_int=True)(n, x)

    n = jnp.int32(2)
    with jax.numpy_dtype_promotion("standard"):
        assert_trees_close(by_hand(gradient)(n, X), gradient(n, X))
