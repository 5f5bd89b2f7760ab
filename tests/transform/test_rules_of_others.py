"""`by_hand` leaves the rules and the effects of others as they are, in their order."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import checkify, io_callback
from rules import assert_trees_close
from transform.small import DY, W, X, check, conv, loss_of, program, thorough

from jaxconv.transform import by_hand

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
    got = jax.jit(jax.grad(loss_of(by_hand(straight))))(X)
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

    want = jax.jit(jax.grad(loss_of(deblurred), (0, 1)))(X, W)
    with pytest.warns(UserWarning, match="gradient that JAX has taken"):
        got = jax.jit(jax.grad(loss_of(by_hand(deblurred)), (0, 1)))(X, W)
    assert_trees_close(got, want, tolerance=1e-6)

    @jax.custom_batching.custom_vmap
    def batched(x):
        return conv(x)

    @batched.def_vmap
    def batched_rule(size, is_batched, x):
        return 2 * jax.vmap(conv)(x), True

    stacked = X[:, None]
    got = jax.jit(jax.vmap(by_hand(batched)))(stacked)
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
    for ours in (
        function,
        by_hand(function),
        jax.jit(by_hand(function)),
        by_hand(jax.jit(function)),
    ):
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
        jax.block_until_ready(jax.jit(jax.grad(loss_of(wrap(function)), (0, 1)))(X, W))
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
        error, y = jax.jit(checked)(X)
        assert "too small" in error.get()
        assert_trees_close(y, conv(conv(X)))


def test_nan_debugging():
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        by_hand(lambda x: conv(jnp.log(x)))(-jnp.abs(X))
