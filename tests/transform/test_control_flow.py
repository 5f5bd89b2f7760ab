"""`by_hand` enters loops and branches."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from rules import assert_trees_close
from transform.small import W, X, check, conv, is_ours, loss_of, pool, thorough

from jaxconv.transform import by_hand


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
    assert_trees_close(jax.jit(by_hand(function))(X, W, n), jax.jit(function)(X, W, n))
    mapped = jax.jit(jax.vmap(by_hand(function), (None, None, 0)))(X, W, jnp.arange(4))
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
        jax.jit(jax.grad(lambda x, w, f=f: jnp.sum(jnp.sin(f(x, w, jnp.arange(4)))), (0, 1)))(X, W)
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
