"""conv_general_dilated inside Flax's modules, old and new: the same numbers."""

import flax.linen
import flax.nnx
import jax
import jax.numpy as jnp
import pytest
from rules import assert_trees_close, normal

import jaxconv

MODULES = {
    "1-D causal": ((2, 11, 3), {"kernel_size": (3,), "padding": "CAUSAL", "kernel_dilation": 2}),
    "2-D strided": ((2, 9, 8, 3), {"kernel_size": (3, 2), "strides": (2, 1)}),
    "2-D depthwise": (
        (2, 9, 8, 4),
        {"kernel_size": (3, 3), "feature_group_count": 4, "padding": ((2, 1), (0, 3))},
    ),
    "2-D circular": ((2, 9, 8, 3), {"kernel_size": (3, 3), "padding": "CIRCULAR"}),
    "2-D transposed": (
        (2, 5, 4, 3),
        {"kernel_size": (3, 3), "input_dilation": 2, "padding": ((2, 2), (2, 2))},
    ),
    "3-D": ((2, 5, 4, 3, 2), {"kernel_size": (2, 3, 1), "padding": "VALID"}),
}


@pytest.fixture(autouse=True)
def standard_promotion():
    """Flax mixes dtypes."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def gradients(loss, *args):
    return jax.jit(jax.value_and_grad(loss, tuple(range(len(args)))))(*args)


@pytest.mark.parametrize("name", MODULES)
def test_linen(name):
    shape, arguments = MODULES[name]
    x = jnp.asarray(normal(0, shape))
    module = flax.linen.Conv(4, **arguments, param_dtype=jnp.float64)
    ours = module.clone(conv_general_dilated=jaxconv.conv_general_dilated)
    params = module.init(jax.random.key(0), x)
    dy = normal(1, module.apply(params, x).shape)

    def loss(module):
        return lambda params, x: jnp.sum(dy * jnp.sin(module.apply(params, x)))

    assert "custom_vjp" in str(jax.make_jaxpr(ours.apply)(params, x))
    assert "custom_vjp" not in str(jax.make_jaxpr(module.apply)(params, x))
    assert_trees_close(gradients(loss(ours), params, x), gradients(loss(module), params, x))


@pytest.mark.parametrize("name", MODULES)
def test_nnx(name):
    shape, arguments = MODULES[name]
    x = jnp.asarray(normal(0, shape))

    def build(**more):
        module = flax.nnx.Conv(
            shape[-1], 4, **arguments, param_dtype=jnp.float64, rngs=flax.nnx.Rngs(0), **more
        )
        graph, params = flax.nnx.split(module)
        return lambda params, x: flax.nnx.merge(graph, params)(x), params

    apply, params = build()
    ours, _ = build(conv_general_dilated=jaxconv.conv_general_dilated)
    dy = normal(1, apply(params, x).shape)

    def loss(apply):
        return lambda params, x: jnp.sum(dy * jnp.sin(apply(params, x)))

    assert "custom_vjp" in str(jax.make_jaxpr(ours)(params, x))
    assert_trees_close(gradients(loss(ours), params, x), gradients(loss(apply), params, x))


def test_a_network_trains():
    """Two steps of a small network, linen, with every convolution ours: the same losses."""

    class Network(flax.linen.Module):
        conv: object = jax.lax.conv_general_dilated

        @flax.linen.compact
        def __call__(self, x):
            for features in (4, 6):
                x = flax.linen.Conv(
                    features,
                    (3, 3),
                    strides=2,
                    conv_general_dilated=self.conv,
                    param_dtype=jnp.float64,
                )(x)
                x = flax.linen.relu(x)
            return flax.linen.Dense(3, param_dtype=jnp.float64)(x.reshape(len(x), -1))

    x, labels = normal(0, (5, 12, 12, 1)), jnp.arange(5) % 3
    losses = []
    for network in (Network(), Network(jaxconv.conv_general_dilated)):

        def loss(params, network=network):
            return jaxconv.softmax_cross_entropy(network.apply(params, x), labels)

        step = jax.jit(jax.value_and_grad(loss))
        params = network.init(jax.random.key(0), x)
        for _ in range(3):
            value, gradient = step(params)
            params = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)
            losses.append(value)
    assert_trees_close(losses[:3], losses[3:])
    assert losses[2] < losses[0]
