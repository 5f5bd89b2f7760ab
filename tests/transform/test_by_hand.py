"""by_hand: what it takes and returns, what it leaves alone, and every transformation around it."""

import dataclasses
import functools
import importlib.util
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import checkify, io_callback
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from rules import assert_trees_close, jit, normal

import jaxconv
from jaxconv.transform import by_hand

thorough = pytest.mark.thorough
X, W = jnp.asarray(normal(0, (3, 2, 7, 6))), jnp.asarray(normal(1, (2, 2, 3, 2)) / 3)
DY = jnp.asarray(normal(2, X.shape))


def conv(x, w=W):
    return lax.conv(x, w, (1, 1), "SAME")


def pool(x, window=(1, 1, 3, 2), strides=(1, 1, 1, 1)):
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, "SAME")


def layers(x, w=W):
    return pool(jnp.tanh(conv(x, w)))


def loss_of(function):
    return lambda *args: jnp.sum(DY * jnp.sin(function(*args)))


def check(function, *args, argnums=(0, 1), transform=jax.value_and_grad):
    """The value and the gradients of a function of x and w, with and without our rules."""
    args = args or (X, W)
    losses = loss_of(by_hand(function)), loss_of(function)
    got, want = jit(lambda *args: tuple(transform(f, argnums)(*args) for f in losses))(*args)
    assert_trees_close(got, want)


def program(function, *args):
    return str(jax.make_jaxpr(function)(*args))


def is_ours(function, *args):
    return "custom_vjp" in program(by_hand(function), *args)


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

        assert_trees_close(jit(jax.grad(by_hand(total)))(X), jit(jax.grad(total))(X))


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
        got, want = (jit(f)(make(3), X, counts) for f in (by_hand(function), function))
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


# Rules of others


def test_rules_of_others_run():
    calls = []

    @jax.custom_vjp
    def straight(x):
        return conv(x)

    def forward(x):
        calls.append("forward")
        return conv(x), None

    def backward(_, dy):
        calls.append("backward")
        return (7 * dy,)

    straight.defvjp(forward, backward)

    @jax.custom_jvp
    def sign(x):
        return conv(x)

    @sign.defjvp
    def sign_jvp(primals, tangents):
        return sign(*primals), 5 * tangents[0]

    @partial(jax.custom_vjp, nondiff_argnums=(1,))
    def scaled(x, scale):
        return scale * conv(x)

    scaled.defvjp(lambda x, s: (scaled(x, s), x), lambda s, x, dy: (3 * dy + s * conv(x),))

    def function(x, w):
        y = straight(x) + conv(x, w) + sign(x)
        return y + scaled(x, 2.0) + lax.map(straight, x[:, None])[:, 0]

    ours, theirs = (program(f, X).replace("num_consts=1", "") for f in (by_hand(sign), sign))
    assert ours.split() == theirs.split()
    check(function)
    assert {"forward", "backward"} == set(calls)
    with pytest.warns(UserWarning, match="gradient that JAX has taken"):
        check(lambda x, w: conv(jax.grad(lambda x: jnp.sum(function(x, w)))(x), w))
    got = jit(jax.grad(loss_of(by_hand(straight))))(X)
    assert_trees_close(got, 7 * DY * jnp.cos(conv(X)))


def test_forward_mode_through_rules_of_others():
    """A custom_jvp that holds a convolution can still be differentiated forwards."""

    @jax.custom_jvp
    def own(x):
        return conv(x)

    @own.defjvp
    def own_jvp(primals, tangents):
        return own(*primals), 2 * conv(*tangents)

    got = jax.jvp(by_hand(lambda x: jnp.sin(own(x))), (X,), (DY,))
    assert_trees_close(got, jax.jvp(lambda x: jnp.sin(own(x)), (X,), (DY,)))


@thorough
def test_solvers_and_other_primitives_with_functions():
    """What is not entered keeps JAX's gradient: solvers, custom_vmap, host callbacks."""

    def deblurred(x, w):
        """The system (1 + KᵀK) y = x by conjugate gradients, with K a convolution."""

        def system(y):
            blurred, transpose = jax.vjp(lambda y: conv(y, w), y)
            return y + transpose(blurred)[0]

        return conv(jax.scipy.sparse.linalg.cg(system, x, maxiter=20, tol=1e-12)[0], w)

    want = jit(jax.grad(loss_of(deblurred), (0, 1)))(X, W)
    with pytest.warns(UserWarning, match="gradient that JAX has taken"):
        got = jit(jax.grad(loss_of(by_hand(deblurred)), (0, 1)))(X, W)
    assert_trees_close(got, want, tolerance=1e-6)

    @jax.custom_batching.custom_vmap
    def batched(x):
        return conv(x)

    @batched.def_vmap
    def batched_rule(size, is_batched, x):
        return 2 * jax.vmap(conv)(x), True

    stacked = X[:, None]
    got = jit(jax.vmap(by_hand(batched)))(stacked)
    assert_trees_close(got, 2 * jax.vmap(conv)(stacked))

    def hosted(x, w):
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        y = jax.pure_callback(np.cos, shape, lax.stop_gradient(x), vmap_method="sequential")
        return conv(x * y, w)

    check(hosted)


# Effects


def test_callbacks_keep_order_and_number():
    log = []

    def note(name):
        return lambda *values: log.append((name, *(float(np.ravel(v)[0]) for v in values)))

    def function(x):
        io_callback(note("start"), None, x, ordered=True)
        x = conv(x)

        def branch(x):
            io_callback(note("branch"), None, x, ordered=True)
            return conv(x)

        x = lax.cond(x[0, 0, 0, 0] > -1e9, branch, lambda x: x, x)

        def step(x, i):
            io_callback(note("step"), None, i, ordered=True)
            x = conv(x)
            io_callback(note("after"), None, x, ordered=True)
            return x, i

        x, _ = lax.scan(step, x, jnp.arange(3))
        _, x = lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, step(s[1], s[0])[0]), (0, x))
        y = io_callback(lambda x: np.asarray(2 * x), jax.typeof(x), x, ordered=True)
        jax.debug.callback(note("end"), y, ordered=True)
        return y

    logs = []
    for ours in (function, by_hand(function), jit(by_hand(function)), by_hand(jax.jit(function))):
        jax.block_until_ready(ours(X))
        jax.effects_barrier()
        logs.append([(name, *np.round(values, 8)) for name, *values in log])
        log.clear()
    assert len(logs[0]) == 13
    assert logs[0] == logs[1] == logs[2] == logs[3]


def test_callbacks_in_gradients_and_checkpoints(capfd):
    """A checkpointed callback runs again in the backward pass, with our rules as well."""
    log = []

    def function(x, w):
        def layer(x):
            jax.debug.callback(lambda _: log.append("layer"), x[0, 0, 0, 0])
            jax.debug.print("sum {}", jnp.round(x.sum(), 6))
            return jnp.sin(conv(x, w))

        return jax.checkpoint(layer)(layer(x))

    counts, texts = [], []
    for wrap in (by_hand, lambda f: f):
        jax.block_until_ready(jit(jax.grad(loss_of(wrap(function)), (0, 1)))(X, W))
        jax.effects_barrier()
        counts.append(log.count("layer"))
        texts.append(sorted(capfd.readouterr().out.splitlines()))
        log.clear()
    assert counts[0] == counts[1] > 1
    assert texts[0] == texts[1]


@thorough
def test_references():
    """Arrays that are changed in place: closed over, given, and made inside."""

    def closed(ref):
        def function(x, w):
            def step(x, _):
                x = conv(x, w)
                ref[...] += x.sum()
                return x, None

            return lax.scan(step, x, length=2)[0]

        return function

    ends = []
    for wrap in (by_hand, lambda f: f):
        ref = jax.new_ref(jnp.zeros(()))
        y = wrap(closed(ref))(X, W)
        z = jax.jit(wrap(closed(ref)))(X, W)
        w = wrap(lambda x, ref: closed(ref)(x, W))(X, ref)
        ends.append((y, z, w, ref[...]))
    assert_trees_close(*ends)

    def made(x, w):
        ref = jax.new_ref(jnp.zeros_like(x))
        x = closed(ref)(x, w)
        return x * ref[...]

    check(made)


@thorough
def test_checked_functions():
    """checkify counts its checks, inside of by_hand and around it."""

    def function(x):
        checkify.check(x[0, 0, 0, 0] > 100, "too small: {}", x[0, 0, 0, 0])
        return lax.fori_loop(0, 2, lambda i, x: conv(x), x)

    for checked in (by_hand(checkify.checkify(function)), checkify.checkify(by_hand(function))):
        error, y = jit(checked)(X)
        assert "too small" in error.get()
        assert_trees_close(y, conv(conv(X)))


def test_nan_debugging():
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        by_hand(lambda x: conv(jnp.log(x)))(-jnp.abs(X))


# Inside of other transformations


def test_closures_over_tracers():
    """by_hand of a function made inside of grad, vmap, jit and scan."""

    def function(wrap):
        def outer(x, w):
            y = wrap(lambda x: conv(x, w))(x)
            z = jax.vmap(lambda row: wrap(lambda: conv(row[None], w * row.sum()))()[0])(y)

            def step(c, scale):
                return wrap(lambda c: jnp.tanh(conv(c, w) * scale))(c), wrap(pool)(c)

            c, pools = lax.scan(step, z, jnp.array([1.0, 2.0]))
            return jax.jit(wrap(lambda: conv(c, w) + pools[1]))()

        return loss_of(outer)

    got, want = (jit(jax.value_and_grad(function(w), (0, 1)))(X, W) for w in (by_hand, lambda f: f))
    assert_trees_close(got, want)


def test_named_axes():
    """Collectives over the axis of a vmap, also in loops, branches and checkpoints."""

    def function(x, w):
        def step(x, _):
            y = jnp.tanh(conv(x[None], w)[0])
            return y - lax.pmean(y, "n"), lax.psum(y.sum(), "n")

        x, sums = lax.scan(step, x, length=2)
        x = jax.checkpoint(lambda x: conv(x[None], w)[0] / lax.psum(1.0, "n"))(x)
        x = lax.cond(sums[0] > 0, lambda: conv(x[None], w)[0], lambda: x)
        gathered = lax.all_gather(x, "n")
        return pool(gathered)[lax.axis_index("n")] + sums.sum()

    def mapped(function):
        return jax.vmap(function, (0, None), axis_name="n")

    want = jit(jax.grad(loss_of(mapped(function)), (0, 1)))(X, W)
    assert_trees_close(jit(jax.grad(loss_of(mapped(by_hand(function))), (0, 1)))(X, W), want)
    assert_trees_close(jit(jax.grad(loss_of(by_hand(mapped(function))), (0, 1)))(X, W), want)


@thorough
def test_axes_of_vmap():
    stacked = jnp.stack([W, 2 * W, W - 1], axis=2)

    def ours(wrap):
        def total(x, w):
            y = jax.vmap(wrap(layers), (None, 2), out_axes=1)(x, w)
            z = jax.vmap(jax.vmap(wrap(layers), (0, None)), (None, 2))(x[:, None], w)
            return jnp.sum(jnp.sin(y) * DY[:, None]) + jnp.sum(jnp.cos(z[:, :, 0]) * DY[None])

        return jit(jax.grad(total, (0, 1)))(X, stacked)

    assert_trees_close(ours(by_hand), ours(lambda f: f))


def test_eval_shape_and_lowering():
    got = jax.eval_shape(by_hand(layers), X, W)
    assert (got.shape, got.dtype) == (X.shape, X.dtype)
    spec = jax.ShapeDtypeStruct(X.shape, X.dtype)
    assert jax.jit(by_hand(layers)).lower(spec, W).compile()(X, W).shape == X.shape
    text = jax.jit(by_hand(jax.named_call(layers, name="my_layers"))).lower(X, W)
    assert "my_layers" in text.as_text(debug_info=True)


@thorough
@pytest.mark.parametrize("symbolic", [False, True])
def test_export(symbolic):
    sizes = jax.export.symbolic_shape("b") if symbolic else (3,)
    specs = (
        jax.ShapeDtypeStruct((*sizes, *X.shape[1:]), X.dtype),
        jax.ShapeDtypeStruct(W.shape, W.dtype),
    )

    def total(x, w):
        y = lax.reduce_window(layers(x, w), 0.0, lax.add, (1, 1, 2, 2), (1, 1, 2, 1), "SAME")
        return jnp.sum(jnp.sin(y) * DY[:1, :, :4])

    for transform in (lambda f: f, partial(jax.grad, argnums=(0, 1))):
        exported = jax.export.export(jax.jit(transform(by_hand(total))))(*specs)
        want = jit(transform(total))(X, W)
        assert_trees_close(exported.call(X, W), want)
        if importlib.util.find_spec("flatbuffers"):
            again = jax.export.deserialize(exported.serialize())
            assert_trees_close(again.call(X, W), want)


def test_jitted_functions_with_options():
    """Donated and static arguments, and names, of a function that is compiled already."""

    @partial(jax.jit, donate_argnums=0, static_argnames="stride")
    def function(x, w, stride):
        return x + lax.conv(x, w, (stride, 1), "SAME")

    ends = []
    for wrap in (by_hand, lambda f: f):
        x = jnp.copy(X)
        ends.append((wrap(function)(x, W, stride=1), x.is_deleted()))
    assert ends[0][1] == ends[1][1]
    assert_trees_close(ends[0][0], ends[1][0])
    x = jnp.copy(X)
    assert_trees_close(jax.jit(by_hand(layers), donate_argnums=0)(x, W), layers(X))
    assert x.is_deleted()


def test_compiled_once():
    """A second call of the same shapes traces nothing, and another function is another program."""
    count = []

    def function(x, w):
        count.append(1)
        return jax.jit(conv)(layers(x, w), w)

    compiled = jax.jit(by_hand(function))
    compiled(X, W), compiled(2 * X, W)
    assert len(count) == 1
    compiled(X[:1], W)
    assert len(count) == 2


def test_one_function_called_often_is_one_function():
    """Calls of one jitted layer share its program, as they do without us."""

    @jax.jit
    def layer(x, w):
        return jnp.tanh(conv(x, w))

    def function(x, w):
        return layer(layer(layer(x, w), w), w)

    def compiled(function):
        return jax.jit(function).lower(X, W).as_text().count("func.func private @layer")

    assert compiled(by_hand(function)) == compiled(function) == 1
    check(function)


@thorough
@pytest.mark.parametrize(
    "context",
    [
        jax.disable_jit,
        partial(jax.enable_checks, True),
        partial(jax.default_matmul_precision, "float32"),
        partial(jax.log_compiles, False),
    ],
    ids=["disable_jit", "enable_checks", "precision", "log_compiles"],
)
def test_configurations(context):
    def function(x, w):
        y = jax.checkpoint(layers)(x, w)
        y = lax.fori_loop(0, 2, lambda i, y: conv(y, w), y)
        return lax.cond(y.sum() > 0, conv, lambda y, w: y, y, w)

    want = jit(jax.grad(loss_of(function), (0, 1)))(X, W)
    with context():
        assert_trees_close(jax.grad(loss_of(by_hand(function)), (0, 1))(X, W), want)


def test_no_tracer_is_kept():
    with jax.check_tracer_leaks(True):
        by_hand(conv)(X)


# Control flow


@thorough
def test_loops_with_carries_of_weak_type():
    def function(x, w):
        def step(carry, scale):
            i, total, y = carry
            y = jnp.tanh(conv(y, w) * total)
            return (i + 1, total * 0.5, y), (i, y.sum() * scale)

        (i, total, y), (ids, sums) = lax.scan(step, (0, 1.0, x), jnp.array([1.0, 2.0, 3.0]))
        return y * total + jnp.sum(sums) * i.astype(float) + jnp.sum(ids.astype(float))

    with jax.enable_checks(True):
        check(function)


@pytest.mark.parametrize("options", [{"reverse": True}, {"unroll": 2}, {"_split_transpose": True}])
def test_scans_with_options(options):
    def function(x, w):
        def step(x, w):
            return jnp.tanh(conv(x, w)), x[0]

        x, rows = lax.scan(step, x, jnp.stack([w, 2 * w, w - 0.1]), **options)
        return x + rows.sum(0)[None]

    check(function)


@thorough
def test_loops_in_loops():
    def function(x, w):
        def outer(x, i):
            def inner(j, x):
                return lax.cond(j > 0, lambda x: jnp.tanh(conv(x, w)), lambda x: pool(x) * i, x)

            return jax.checkpoint(lambda x: lax.fori_loop(0, 2, inner, x))(x), x.sum()

        return lax.scan(outer, x, jnp.array([1.0, 0.5]))[0]

    check(function)
    check(function, transform=lambda f, n: jax.grad(f, n))


@thorough
def test_loops_of_unknown_length():
    """Forwards only, as without us; the condition may hold a convolution, too."""

    def function(x, w, n):
        def condition(state):
            return (state[0] < n) & (jnp.abs(conv(state[1], w)).sum() < 1e6)

        return lax.while_loop(condition, lambda s: (s[0] + 1, conv(s[1], w)), (0, x))[1]

    n = jnp.asarray(3)
    assert is_ours(function, X, W, n)
    assert_trees_close(jit(by_hand(function))(X, W, n), jit(function)(X, W, n))
    mapped = jit(jax.vmap(by_hand(function), (None, None, 0)))(X, W, jnp.arange(4))
    assert_trees_close(mapped[3], function(X, W, n))
    for wrap in (by_hand, lambda f: f):
        with pytest.raises(ValueError, match="Reverse-mode differentiation does not work"):
            jax.grad(loss_of(wrap(function)))(X, W, n)


def test_fixed_points_without_gradient():
    """The way to a fixed point has no gradient, but the last step has one, jitted or not."""

    def function(solve):
        def function(x, w):
            fixed = lax.stop_gradient(solve(x, w))
            return jnp.tanh(conv(fixed, 0.1 * w) + x)

        return function

    def solve(x, w):
        def step(state):
            i, y = state
            return i + 1, jnp.tanh(conv(y, 0.1 * w) + x)

        return lax.while_loop(lambda s: s[0] < s[1].size // 10, step, (0, x))[1]

    check(function(solve))
    check(function(jax.jit(solve)))


@thorough
def test_branches_of_different_kinds():
    def function(x, w, i):
        return lax.switch(
            i,
            [
                lambda x, w: conv(x, w),
                lambda x, w: pool(x) * w.sum(),
                lambda x, w: x,
                lambda x, w: lax.cond(x[0, 0, 0, 0] > 0, conv, conv, pool(x), w),
            ],
            x,
            w,
        )

    for i in range(4):
        check(function, X, W, jnp.int32(i))
    mapped = [
        jit(jax.grad(lambda x, w, f=f: jnp.sum(jnp.sin(f(x, w, jnp.arange(4)))), (0, 1)))(X, W)
        for f in (jax.vmap(by_hand(function), (None, None, 0)), jax.vmap(function, (None, None, 0)))
    ]
    assert_trees_close(*mapped)


@thorough
def test_reductions_in_a_tree():
    """associative_scan, map, and platform_dependent branches."""

    def function(x, w):
        products = lax.associative_scan(lambda a, b: a * jnp.tanh(b), conv(x, w))
        rows = lax.map(lambda row: conv(row[None], w)[0], products, batch_size=2)
        return lax.platform_dependent(rows, cpu=lambda x: conv(x, w), default=lambda x: x)

    check(function)


# Pools and convolutions at their limits


def test_ties():
    """The first of equal elements gets the gradient, as in lax."""
    x = jnp.asarray(np.random.default_rng(3).integers(-1, 2, X.shape).astype(float))
    for reducer, initial in ((lax.max, -jnp.inf), (lax.min, jnp.inf)):

        def function(x, w, reducer=reducer, initial=initial):
            return lax.reduce_window(x, initial, reducer, (1, 1, 3, 2), (1,) * 4, "SAME") * w.sum()

        check(function, x, W)


def test_pools_of_nan_and_of_nothing_but_infinities():
    """Where the gradient is a choice it is that of max_pool; what lax chooses stands beside it."""

    def slope(x, dy, window, padding):
        return jax.grad(
            lambda x: jnp.sum(
                dy * by_hand(lax.reduce_window)(x, -jnp.inf, lax.max, *window, padding)
            )
        )(x)

    dy = jnp.arange(1.0, 5)
    got = slope(jnp.array([1.0, jnp.nan, 0, 2]), dy[:3], ((2,), (1,)), "VALID")
    np.testing.assert_array_equal(got, [0, 3, 0, 3])  # lax: 0 1 2 3
    got = slope(jnp.full(4, -jnp.inf), dy, ((3,), (1,)), "SAME")
    np.testing.assert_array_equal(got, [3, 3, 4, 0])  # lax: 2 3 4 0


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_pools_of_infinities(bad):
    x = X.at[0, 0, 2, 2].set(bad).at[1, :, 1:4, :3].set(bad)

    def total(x):
        return sum(
            jnp.sum(DY * lax.reduce_window(x, i, r, (1, 1, 3, 2), (1,) * 4, "SAME"))
            for r, i in ((lax.max, -jnp.inf), (lax.min, jnp.inf))
        )

    assert_trees_close(jit(jax.grad(by_hand(total)))(x), jit(jax.grad(total))(x))


@pytest.mark.parametrize(
    ("reducer", "initial"),
    [
        pytest.param(jnp.maximum, -np.inf, id="jnp.maximum"),
        pytest.param(jnp.add, 0.0, id="jnp.add"),
        pytest.param(lambda a, b: a + b, 0.0, id="a + b"),
        pytest.param(lambda a, b: lax.min(a, b), np.inf, id="a lambda"),
    ],
)
@pytest.mark.parametrize("examples", [1, 3])
def test_reducers_that_lax_does_not_know(reducer, initial, examples):
    def function(x):
        start = jnp.full((), initial)
        return lax.reduce_window(x, start, reducer, (1, 1, 3, 2), (1, 1, 2, 1), "VALID")

    x = X[:examples]
    assert_trees_close(jit(by_hand(function))(x), jit(function)(x))


@pytest.mark.parametrize(
    ("reducer", "initial"),
    [
        pytest.param(lambda a, b: b + b, 0.0, id="b + b"),
        pytest.param(lambda a, b: lax.max(a, a), -np.inf, id="max(a, a)"),
        pytest.param(lambda a, b: lax.add(a, 1.0), 0.0, id="a + 1"),
    ],
)
def test_reducers_that_only_look_like_a_pool(reducer, initial):
    def function(x):
        return lax.reduce_window(x, initial, reducer, (1, 1, 2, 1), (1, 1, 2, 1), "VALID")

    assert_trees_close(by_hand(function)(X), function(X))


def test_initial_values_that_are_not_known():
    """A traced one is left to JAX."""

    def function(x):
        return lax.reduce_window(
            x, x[0, 0, 0, 0], lambda a, b: lax.max(a, b), (1, 1, 3, 2), (1, 1, 2, 1), "VALID"
        )

    assert_trees_close(jit(by_hand(function))(X), jit(function)(X))


POOLS = {
    "batch": ((3, 1, 1, 1), (1, 1, 1, 1), "VALID"),
    "channels": ((1, 2, 1, 1), (1, 1, 1, 1), "SAME"),
    "all": ((2, 2, 3, 2), (1, 1, 2, 1), "SAME"),
    "apart": ((2, 1, 1, 3), (1, 1, 1, 2), "SAME"),
    "one of each": ((1, 1, 1, 1), (1, 1, 1, 1), "VALID"),
    "stride alone": ((1, 1, 1, 1), (2, 1, 3, 2), "VALID"),
    "padding alone": ((1, 1, 1, 1), (1, 1, 1, 1), ((0, 0), (0, 0), (1, 2), (0, 1))),
    "no window": ((1, 1, 9, 1), (1, 1, 1, 1), "VALID"),
    "cropped": ((1, 1, 2, 2), (1, 1, 2, 1), ((0, 0), (0, 0), (0, -2), (1, -1))),
    "wide padding": ((1, 1, 2, 2), (1, 1, 1, 2), ((0, 0), (0, 0), (3, 4), (2, 0))),
}


@pytest.mark.parametrize(
    "name", [n if n in ("all", "cropped") else pytest.param(n, marks=thorough) for n in POOLS]
)
def test_windows(name):
    window, strides, padding = POOLS[name]
    for reducer, initial in ((lax.max, -np.inf), (lax.min, np.inf), (lax.add, 0.0)):

        def function(x, r=reducer, i=initial):
            return lax.reduce_window(x, i, r, window, strides, padding)

        want = jit(function)(X)
        assert_trees_close(jit(by_hand(function))(X), want)
        if np.all(np.isfinite(want)) and name != "cropped":
            dy = normal(9, want.shape)
            got, want = (
                jit(jax.grad(lambda x, f=f, dy=dy: jnp.sum(dy * jnp.sin(f(x)))))(X)
                for f in (by_hand(function), function)
            )
            assert_trees_close(got, want)


@pytest.mark.parametrize(
    ("lhs", "rhs"), [((0, 2, 7, 6), W.shape), ((3, 0, 7, 6), (2, 0, 3, 2)), (X.shape, (0, 2, 3, 2)),
                     ((3, 2, 1, 1), W.shape)]
)  # fmt: skip
def test_convolutions_of_nothing(lhs, rhs):
    def total(x, w):
        return jnp.sum(jnp.sin(lax.conv(x, w, (2, 1), "SAME"))) + x.sum()

    args = jnp.asarray(normal(0, lhs)), jnp.asarray(normal(1, rhs))
    got, want = (jit(jax.value_and_grad(f, (0, 1)))(*args) for f in (by_hand(total), total))
    assert_trees_close(got, want)


@thorough
@pytest.mark.parametrize("dims", [0, 1, 4])
def test_other_numbers_of_dimensions(dims):
    x, w = (
        jnp.asarray(normal(0, (3, 2, *(4,) * dims))),
        jnp.asarray(normal(1, (3, 2, *(2,) * dims))),
    )

    def total(x, w):
        return jnp.sum(jnp.sin(lax.conv_general_dilated(x, w, (1,) * dims, [(1, 0)] * dims)))

    got, want = (jit(jax.value_and_grad(f, (0, 1)))(x, w) for f in (by_hand(total), total))
    assert_trees_close(got, want)


def test_products_in_wider_floats():
    def function(x, w):
        x, w = x.astype(np.float32), w.astype(np.float32)
        return lax.conv_general_dilated(x, w, (1, 1), "SAME", preferred_element_type=np.float64)

    got, want = (
        jit(jax.value_and_grad(loss_of(f), (0, 1)))(X, W) for f in (by_hand(function), function)
    )
    assert_trees_close(got, want, tolerance=1e-6)


# Forward mode


def test_forward_mode_is_refused_with_advice():
    for transform in (lambda f: jax.jvp(f, (X,), (X,)), lambda f: jax.jacfwd(f)(X)):
        with pytest.raises(TypeError, match=r"by_hand: forward mode .* jax\.grad"):
            transform(by_hand(layers))
    for transform in (
        lambda f: jax.linearize(f, X)[1](X),
        lambda f: jax.jvp(jax.jit(f), (X,), (X,)),
        lambda f: jax.jvp(lambda x: lax.map(f, x[None]), (X,), (X,)),
    ):
        with pytest.raises(TypeError, match="forward-mode"):
            transform(by_hand(layers))


def test_transposes():
    """JAX cannot transpose a custom_vjp, so `by_hand` goes around `jax.linear_transpose`."""
    with pytest.raises(NotImplementedError, match="custom_vjp"):
        jax.linear_transpose(by_hand(conv), X)(DY)


def test_transposes_inside():
    def function(x, w):
        return jax.linear_transpose(lambda y: conv(y, w), x)(x)[0]

    with pytest.warns(UserWarning, match="gradient that JAX has taken"):
        check(function)


@thorough
def test_a_hessian():
    """Forward over reverse."""

    def total(x, w):
        return jnp.sum(jnp.sin(layers(x, w)) * DY)

    got, want = (
        jit(lambda w, f=f: jax.hessian(lambda w: f(X, w.reshape(W.shape)))(w))(W.ravel())
        for f in (by_hand(total), total)
    )
    assert_trees_close(got, want)


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(
            conv,
            marks=pytest.mark.xfail(
                jax.version.__version_info__ < (0, 11),
                raises=ValueError,
                reason="custom_vmap in a scan cannot be linearized (jaxconv/contraction/mapped.py)",
            ),
        ),
        lambda x, w: pool(x) * w.sum(),
    ],
    ids=["conv", "pool"],
)
def test_second_derivatives_of_scans(function):
    def looped(x, w):
        return lax.fori_loop(0, 2, lambda i, x: jnp.tanh(function(x, w)), x)

    def twice(function, argnums):
        def bent(x, w):
            dx, dw = jax.grad(function, (0, 1))(x, w)
            return jnp.sum(jnp.sin(dx) * DY) + jnp.sum(jnp.cos(dw))

        return jax.grad(bent, argnums)

    check(looped, transform=twice)


# Several devices


DEVICES = Mesh(np.array(jax.devices()), ("d",), axis_types=(AxisType.Auto,))
MANY = jnp.asarray(normal(5, (2 * jax.device_count(), 2, 7, 6)))
SPLIT, SAME = PartitionSpec("d"), PartitionSpec()


def sharded(function, **options):
    options = {"mesh": DEVICES, "in_specs": (SPLIT, SAME), "out_specs": SAME, **options}
    return jax.shard_map(function, **options)


def sharded_scan(x, w):
    x, sums = lax.scan(lambda x, _: (jnp.tanh(conv(x, w)), x.sum()), x, length=2)
    return lax.psum(jnp.sum(jnp.sin(x)) + sums.sum(), "d")


def sharded_branch(x, w):
    positive = lax.psum(x.sum(), "d") > -1e9
    return lax.psum(jnp.sum(jnp.sin(lax.cond(positive, conv, lambda x, w: x, x, w))), "d")


def sharded_checkpoint(x, w):
    x = jax.checkpoint(layers)(x, w)
    return lax.psum(jnp.sum(jnp.sin(jax.jit(conv)(x, w))), "d")


def sharded_ring(x, w):
    size = jax.device_count()
    x = lax.ppermute(conv(x, w), "d", [(i, (i + 1) % size) for i in range(size)])
    return lax.pmean(jnp.sum(pool(x) * (1 + lax.axis_index("d")).astype(float)), "d")


@thorough
@pytest.mark.parametrize(
    "function", [sharded_scan, sharded_branch, sharded_checkpoint, sharded_ring]
)
def test_shard_map(function):
    def gradients(f):
        return jit(jax.value_and_grad(f, (0, 1)))(MANY, W)

    want = gradients(sharded(function))
    assert_trees_close(gradients(by_hand(sharded(function))), want)
    assert_trees_close(gradients(sharded(by_hand(function))), want)
    assert_trees_close(gradients(by_hand(jax.jit(sharded(function)))), want)
    eager = by_hand(sharded(function))(MANY, W)
    assert_trees_close(eager, want[0])


@thorough
def test_shard_map_over_some_of_the_axes():
    count = jax.device_count()
    mesh = Mesh(np.array(jax.devices()).reshape(count // 2, 2), ("d", "other"))
    function = sharded(
        lambda x, w: lax.psum(jnp.sum(jnp.sin(layers(x, w))), "d"), mesh=mesh, axis_names={"d"}
    )
    got, want = (jit(jax.grad(f, (0, 1)))(MANY, W) for f in (by_hand(function), function))
    assert_trees_close(got, want)
    got, want = (
        jax.jit(jax.vmap(f, (0, None)))(MANY[None], W) for f in (by_hand(function), function)
    )
    assert_trees_close(got, want)


@thorough
def test_constraints_inside():
    """Sharding constraints inside the function are kept."""
    split = NamedSharding(DEVICES, SPLIT)

    @partial(jax.jit, in_shardings=(split, NamedSharding(DEVICES, SAME)), out_shardings=split)
    def function(x, w):
        return lax.with_sharding_constraint(conv(x, w), split) * 2

    got, want = by_hand(function)(MANY, W), function(MANY, W)
    assert got.sharding == want.sharding
    assert_trees_close(got, want)
    got, want = (
        jit(jax.grad(lambda x, w, f=f: jnp.sum(jnp.sin(f(x, w))), (0, 1)))(MANY, W)
        for f in (by_hand(function), function)
    )
    assert_trees_close(got, want)


# In short floats, with strict promotion


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16, np.float16])
def test_without_64_bits(dtype):
    """The dtypes and the numbers, to within rounding, where float64 does not exist."""
    x, w, dy = (np.asarray(a, dtype) for a in (X, W, DY))

    def total(x, w):
        return jnp.sum(jnp.asarray(dy) * jnp.sin(layers(x, w)))

    with jax.enable_x64(False):
        got, want = (jit(jax.value_and_grad(f, (0, 1)))(x, w) for f in (by_hand(total), total))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert a.dtype == b.dtype == dtype
        off = np.linalg.norm((np.asarray(a, float) - np.asarray(b, float)).ravel())
        assert off <= 8 * jnp.finfo(dtype).eps * np.linalg.norm(np.asarray(b, float).ravel())


def test_it_is_idempotent():
    once, twice = (program(f, X, W) for f in (by_hand(layers), by_hand(by_hand(layers))))
    assert once == twice
    assert program(by_hand(partial(jaxconv.max_pool, window=2)), X) == program(
        partial(jaxconv.max_pool, window=2), X
    )
    assert functools.reduce(lambda f, _: by_hand(f), range(3), layers)(X).shape == X.shape
