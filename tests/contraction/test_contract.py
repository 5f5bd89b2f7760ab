"""A contraction as an operation of JAX: derivatives of any order, lowering, what JAX saves."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec
from rules import assert_trees_close, normal

import jaxconv
from contraction.calls import drawn, factors, of
from jaxconv.contraction import ConvSpec, correlate, input_gradient, kernel_gradient
from jaxconv.contraction.contract import CONTRACTION
from jaxconv.contraction.planning import Call
from jaxconv.transform import by_hand

CONTRACTIONS = {
    "correlate": correlate,
    "input_gradient": input_gradient,
    "kernel_gradient": kernel_gradient,
}
SPEC = ConvSpec(
    size=(6, 5), window=(3, 2), stride=(2, 1), dilation=(1, 2), input_dilation=(1, 1),
    padding=((1, 0), (2, 1)), groups=2, channels_in=4, channels_out=6,
)  # fmt: skip


def equations(function, *args, name):
    """The equations of a primitive in a trace, those in functions that it calls among them."""

    def inside(jaxpr):
        for eqn in jaxpr.eqns:
            if eqn.primitive.name == name:
                yield eqn
            for inner in jax.extend.core.jaxprs_in_params(eqn.params):
                yield from inside(inner)

    return list(inside(jax.make_jaxpr(function)(*args).jaxpr))


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("asked", CONTRACTIONS)
def test_types_are_those_of_the_plain_form(asked, seed, layout):
    spec, batch = drawn(seed)
    pair = of(asked, *factors(spec, batch))
    if layout == "channels_first":
        shapes = {3: (0, 2, 1), 4: (0, 3, 1, 2), 5: (0, 4, 1, 2, 3)}
        kernels = {3: (2, 1, 0), 4: (3, 2, 0, 1), 5: (4, 3, 0, 1, 2)}
        is_kernel = {"correlate": (0, 1), "input_gradient": (1, 0)}.get(asked, (0, 0))
        pair = [
            a.transpose((kernels if kernel else shapes)[a.ndim])
            for a, kernel in zip(pair, is_kernel, strict=True)
        ]
    for dtype in (np.float64, jnp.bfloat16):
        cast = [a.astype(dtype) for a in pair]
        got = jax.eval_shape(partial(CONTRACTIONS[asked], spec, layout=layout), *cast)
        want = jax.eval_shape(partial(Call(layout=layout).plain, asked, spec), *cast)
        assert (got.shape, got.dtype) == (want.shape, want.dtype)


@pytest.mark.parametrize("asked", CONTRACTIONS)
def test_derivatives_are_those_of_the_plain_form(asked):
    """Forward, reverse, and one of the other, in both factors, against JAX's rules for lax."""
    pair = of(asked, normal(0, (3, 6, 5, 4)), normal(1, SPEC.kernel_shape),
              normal(2, (3, *SPEC.output, 6)))  # fmt: skip
    tangents = [normal(3 + side, a.shape) for side, a in enumerate(pair)]

    def derivatives(contraction):
        def value(left, right):
            y = contraction(left, right)
            return jnp.sum(jnp.sin(y) * normal(5, y.shape))

        def slope(left, right):
            return jax.jvp(value, (left, right), tuple(tangents))[1]

        def bent(left, right):
            gradients = jax.grad(value, (0, 1))(left, right)
            return sum(jnp.sum(jnp.cos(g) * t) for g, t in zip(gradients, tangents, strict=True))

        return [jax.grad(f, (0, 1))(*pair) for f in (value, slope, bent)]

    got = jax.jit(derivatives, static_argnums=0)(partial(CONTRACTIONS[asked], SPEC))
    want = jax.jit(derivatives, static_argnums=0)(partial(Call().plain, asked, SPEC))
    assert_trees_close(got, want)
    with jax.disable_jit():
        assert_trees_close(derivatives(partial(CONTRACTIONS[asked], SPEC)), want)


def test_cotangents_of_short_factors_are_not_rounded_before_the_sum():
    """In bfloat16 a second derivative is the rounded one of float32."""
    x, w = (normal(i, s).astype(jnp.bfloat16) for i, s in ((0, (3, 6, 5, 4)), (1, (3, 2, 2, 6))))
    weights = normal(2, (3, *SPEC.output, 6)).astype(np.float32)

    def gradients(x, w):
        return jax.grad(lambda x, w: jnp.sum(correlate(SPEC, x, w) * weights), (0, 1))(x, w)

    wide = (a.astype(np.float32) for a in (x, w))
    for got, want in zip(jax.jit(gradients)(x, w), jax.jit(gradients)(*wide), strict=True):
        assert got.dtype == jnp.bfloat16
        np.testing.assert_array_equal(got, want.astype(jnp.bfloat16))


def test_layers_that_agree_are_lowered_once(monkeypatch):
    calls, run = [], Call.run
    monkeypatch.setattr(Call, "run", lambda self, *args: calls.append(args[0]) or run(self, *args))
    spec, x, w = jaxconv.conv, normal(0, (2, 8, 8, 3)), normal(1, (3, 3, 3, 3))
    jax.clear_caches()
    jax.jit(jax.grad(lambda w: spec(spec(spec(x, w), w), w).sum())).lower(w)
    # The gradient of the first layer for x is not wanted.
    assert sorted(calls) == ["correlate", "input_gradient", "kernel_gradient"]


def test_the_default_precision_is_that_of_the_call():
    def function(x, w):
        with jax.default_matmul_precision("highest"):
            return jaxconv.contraction.correlate(SPEC, x, w)

    program = jax.jit(function).lower(normal(0, (1, 6, 5, 4)), normal(1, SPEC.kernel_shape))
    assert "HIGHEST" in program.as_text()


def test_on_devices_outside_of_jit():
    """`jax.shard_map` runs each operation as it gets it, where it is not compiled."""
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    x, w = jnp.asarray(normal(0, (4, 6, 5, 4))), jnp.asarray(normal(1, SPEC.kernel_shape))

    def loss(x, w):
        return lax.psum(jnp.sum(jnp.sin(correlate(SPEC, x, w))), "batch")

    split = jax.shard_map(
        loss, mesh=mesh, in_specs=(PartitionSpec("batch"), PartitionSpec()),
        out_specs=PartitionSpec(),
    )  # fmt: skip
    got = jax.value_and_grad(split, (0, 1))(x, w)
    want = jax.value_and_grad(lambda x, w: jnp.sum(jnp.sin(correlate(SPEC, x, w))), (0, 1))(x, w)
    assert_trees_close(got, want)


@pytest.mark.parametrize(
    ("policy", "correlations"), [("dots_saveable", 2), ("nothing_saveable", 4)]
)
def test_policies_of_checkpoint_hold_in_by_hand(policy, correlations):
    """A policy that saves the results of lax's convolutions saves those of ours."""
    x, w = normal(0, (2, 8, 8, 3)), normal(1, (3, 3, 3, 3))

    def layers(x, w):
        for _ in range(2):
            x = jnp.sin(
                lax.conv(x.transpose(0, 3, 1, 2), w.T, (1, 1), "SAME").transpose(0, 2, 3, 1)
            )
        return x.sum()

    ours = by_hand(jax.checkpoint(layers, policy=getattr(jax.checkpoint_policies, policy)))
    found = equations(jax.grad(ours, 1), x, w, name=CONTRACTION.name)
    assert sum(eqn.params["asked"] == "correlate" for eqn in found) == correlations
