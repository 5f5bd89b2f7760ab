"""Every rule under every transformation of JAX, against the reference under the same one.

The calls are samples of the catalogue, chosen by its records.
"""

import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import Call, assert_trees_close, normal

from jaxconv.check.catalogue import CATALOGUE

CALLS = {
    f"{record.name}-{seed}": (record, seed)
    for record in CATALOGUE.values()
    for seed in record.transformed
}


@functools.cache
def call_of(name):
    record, seed = CALLS[name]
    return Call(record, record.sample(seed))


each_call = pytest.mark.parametrize("name", CALLS)


def test_every_op_is_transformed_where_there_is_something_to_see():
    assert {record.name for record, _ in CALLS.values()} == set(CATALOGUE)
    for name in CALLS:
        assert all(a.size for a in call_of(name).arrays), name
        assert any(np.any(np.asarray(g) != 0) for g in jax.tree.leaves(call_of(name).weights))


def both(call, transform, *args):
    """The transformed loss of rule and reference, in one program."""
    losses = call.hand, call.reference
    got, want = jax.jit(lambda *args: tuple(transform(loss)(*args) for loss in losses))(*args)
    assert_trees_close(got, want, tolerance=1e-9)


@pytest.mark.thorough
@each_call
def test_gradient_without_jit_with_jit_inside_and_under_checkpoint(name):
    call = call_of(name)

    @jax.jit
    def gradients(arrays):
        ways = call.reference, jax.jit(call.hand), jax.checkpoint(call.hand)
        return [jax.grad(loss)(arrays) for loss in ways]

    want, inside, again = gradients(call.arrays)
    assert_trees_close(jax.grad(call.hand)(call.arrays), want, "without jit")
    assert_trees_close(inside, want, "jit")
    assert_trees_close(again, want, "checkpoint")


@pytest.mark.thorough
@each_call
def test_scan(name):
    """Through the carry: the gradient of step t reaches the arrays of all earlier steps."""

    def repeated(loss):
        def step(arrays, scale):
            value = loss(arrays)
            nudged = jax.tree.map(lambda a: a + 0.01 * scale * jnp.tanh(value) * jnp.cos(a), arrays)
            return nudged, value

        def total(arrays):
            _, values = jax.lax.scan(step, arrays, jnp.array([1.0, -0.5, 2.0]))
            return jnp.sum(values * jnp.array([3.0, 1.0, -2.0]))

        return jax.grad(total)

    call = call_of(name)
    both(call, repeated, call.arrays)


@pytest.mark.thorough
@each_call
def test_vmap_over_nothing(name):
    """Over an axis of size 0 there is nothing to compute, and the shapes are those of the rest."""
    call = call_of(name)
    stacks = tuple(jnp.zeros((0, *a.shape)) for a in call.arrays)
    got = jax.vmap(jax.value_and_grad(call.hand))(stacks)
    want = jax.eval_shape(jax.vmap(jax.value_and_grad(call.reference)), stacks)
    shapes = [jax.tree.map(lambda a: (a.shape, a.dtype), tree) for tree in (got, want)]
    assert shapes[0] == shapes[1]


@pytest.mark.thorough
@each_call
def test_vmap_of_each_argument_and_of_all(name):
    call = call_of(name)
    arrays = tuple(map(np.asarray, call.arrays))
    stacks = tuple(np.stack([a, a + 0.003 * normal(7, a.shape), a * 1.001]) for a in arrays)
    count = len(arrays)
    choices = [tuple(i == chosen for i in range(count)) for chosen in range(count)]
    if count > 1:
        choices.append((True,) * count)

    def picked(choice):
        return tuple(s if c else a for s, c, a in zip(stacks, choice, arrays, strict=True))

    @jax.jit
    def mapped(all_args):
        axes = [tuple(0 if c else None for c in choice) for choice in choices]
        gradient = jax.grad(call.hand)
        return [
            jax.vmap(gradient, in_axes=(a,))(args) for a, args in zip(axes, all_args, strict=True)
        ]

    all_args = [picked(choice) for choice in choices]
    for hand, choice, args in zip(mapped(all_args), choices, all_args, strict=True):
        for i in range(3):
            alone = tuple(a[i] if c else a for a, c in zip(args, choice, strict=True))
            assert_trees_close(
                jax.tree.map(lambda h, i=i: h[i], hand), call.reference_gradient(alone)
            )


@pytest.mark.thorough
@each_call
def test_second_derivatives(name):
    """Reverse over reverse, and the Hessian (forward over reverse) of a few elements of each."""
    call = call_of(name)
    weights = tuple(normal(20 + i, a.shape) for i, a in enumerate(call.arrays))
    few = [a.reshape(-1)[:5] for a in call.arrays]

    def twice(loss):
        def bent(arrays):
            gradients = jax.grad(loss)(arrays)
            return sum(jnp.sum(w * jnp.sin(g)) for w, g in zip(weights, gradients, strict=True))

        def of_few(few):
            return loss(
                tuple(
                    a.reshape(-1).at[: f.size].set(f).reshape(a.shape)
                    for a, f in zip(call.arrays, few, strict=True)
                )
            )

        return lambda arrays, few: (jax.grad(bent)(arrays), jax.hessian(of_few)(few))

    both(call, twice, call.arrays, few)


@each_call
def test_forward_mode_is_refused_by_the_rule_and_given_by_the_reference(name):
    call = call_of(name)
    tangents = tuple(jnp.ones_like(a) for a in call.arrays)
    with pytest.raises(TypeError, match=r"jaxconv\.reference"):
        jax.jvp(call.hand, (call.arrays,), (tangents,))
    jax.eval_shape(partial(jax.jvp, call.reference), (call.arrays,), (tangents,))
