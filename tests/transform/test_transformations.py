"""`by_hand` inside of other transformations of JAX, and forward mode."""

import importlib.util
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from rules import assert_trees_close
from transform.small import DY, W, X, check, conv, layers, loss_of, pool, thorough

from jaxconv.transform import by_hand

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

    got, want = (
        jax.jit(jax.value_and_grad(function(w), (0, 1)))(X, W) for w in (by_hand, lambda f: f)
    )
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

    want = jax.jit(jax.grad(loss_of(mapped(function)), (0, 1)))(X, W)
    assert_trees_close(jax.jit(jax.grad(loss_of(mapped(by_hand(function))), (0, 1)))(X, W), want)
    assert_trees_close(jax.jit(jax.grad(loss_of(by_hand(mapped(function))), (0, 1)))(X, W), want)


@thorough
def test_axes_of_vmap():
    stacked = jnp.stack([W, 2 * W, W - 1], axis=2)

    def ours(wrap):
        def total(x, w):
            y = jax.vmap(wrap(layers), (None, 2), out_axes=1)(x, w)
            z = jax.vmap(jax.vmap(wrap(layers), (0, None)), (None, 2))(x[:, None], w)
            return jnp.sum(jnp.sin(y) * DY[:, None]) + jnp.sum(jnp.cos(z[:, :, 0]) * DY[None])

        return jax.jit(jax.grad(total, (0, 1)))(X, stacked)

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
        want = jax.jit(transform(total))(X, W)
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


@pytest.mark.thorough
def test_the_persistent_cache_is_hit(tmp_path):
    """A later process compiles nothing: the program has no name or number of one process."""
    code = """
import jax, jax.numpy as jnp
from jax import lax
from jaxconv import by_hand

jax.config.update("jax_compilation_cache_dir", DIRECTORY)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name))
depthwise = dict(dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=32)
layer = lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "SAME", **depthwise)
loss = by_hand(lambda x, w: jnp.sum(layer(layer(x, w), w) ** 2))
step = jax.jit(jax.grad(loss, (0, 1))).lower(jnp.zeros((8, 32, 32, 32)), jnp.zeros((3, 3, 1, 32)))
hits.clear()
step.compile()
print(hits.count("/jax/compilation_cache/cache_hits"))
"""
    code = code.replace("DIRECTORY", repr(str(tmp_path)))
    run = partial(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True)
    assert [run(check=True).stdout for _ in range(2)] == ["0\n", "1\n"]


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

    want = jax.jit(jax.grad(loss_of(function), (0, 1)))(X, W)
    with context():
        assert_trees_close(jax.grad(loss_of(by_hand(function)), (0, 1))(X, W), want)


def test_no_tracer_is_kept():
    with jax.check_tracer_leaks(True):
        by_hand(conv)(X)


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
        jax.jit(lambda w, f=f: jax.hessian(lambda w: f(X, w.reshape(W.shape)))(w))(W.ravel())
        for f in (by_hand(total), total)
    )
    assert_trees_close(got, want)


@pytest.mark.parametrize(
    "function",
    [
        conv,
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
