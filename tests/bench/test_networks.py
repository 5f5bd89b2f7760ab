"""The networks of the benchmark: one step of each is the same step everywhere."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import TINY, variables
from rules import assert_trees_close

import jaxconv
import jaxconv.reference
from jaxconv._core.work import Work
from jaxconv.bench.networks import NETWORKS, Network
from jaxconv.bench.pytorch import as_torch
from jaxconv.models import mobilenet_v1, small_resnet

SMALL = {
    "plain": Network.of(TINY, (2, 6, 6, 3)),
    "resnet": Network.of(small_resnet(1, width=4), (2, 6, 6, 3)),
    "mobilenet": Network.of(mobilenet_v1(4, ((6, 2), (8, 1))), (2, 6, 6, 3)),
}


def drawn(network):
    """With numbers that nothing is compiled for, and no channel that is dead from the start."""

    def init(key, **shapes):
        params, state = variables(network, **shapes)
        for p in params.values():
            p |= {"scale": jnp.ones_like(p["scale"])} if "scale" in p else {}
        return params, state

    return replace(network, init=init)


def step(network, ops, dtype):
    function, (params, state, images, labels) = network.on_jax(ops)["step"]
    params, images = jax.tree.map(lambda a: a.astype(dtype), (params, images))
    return params, jax.jit(function)(params, state, images, labels)[0]


@pytest.mark.parametrize("name", SMALL)
def test_the_step_of_ours_autodiff_and_pytorch(name):
    network = drawn(SMALL[name])
    before, ours = step(network, jaxconv, jnp.float64)
    _, theirs = step(network, jaxconv.reference, jnp.float64)
    assert_trees_close(ours, theirs)
    moved = jax.tree.map(lambda a, b: float(jnp.max(jnp.abs(a - b))), before, ours)
    assert min(jax.tree.leaves(moved)) > 0  # every parameter matters
    assert network.residual_bytes(jaxconv) is None

    pytest.importorskip("torch")
    for got, wanted in zip(network.on_torch("cpu")["step"](), jax.tree.leaves(ours), strict=True):
        wanted = as_torch(wanted, "cpu", kernel=wanted.ndim > 1)
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_flax_takes_our_convolutions_and_nothing_else_of_ours():
    network = NETWORKS["Flax step"]
    small = drawn(replace(network, images=(1, 4, 4, 1)))
    assert small.on_torch("cpu") == {}
    results = []
    with jax.numpy_dtype_promotion("standard"):
        for ops in (jaxconv, jaxconv.reference):
            function, args = small.on_jax(ops)["step"]
            loss = str(jax.make_jaxpr(functools.partial(small.loss, ops))(*args))
            assert ("custom_vjp" in loss) == (ops is jaxconv)
            results.append(jax.jit(function)(*args))
    assert_trees_close(*results, tolerance=1e-5)


def test_sizes():
    """As many parameters as the architectures say; of ResNet-20, the paper says 0.27 million."""
    assert {
        name: sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(network.variables)[0]))
        for name, network in NETWORKS.items()
    } == {
        "LeNet step": 624 + 38464 + 376440 + 10164 + 850,
        "LeNet-like step": 832 + 51264 + 31370,
        "ResNet-20-like step": 272474,
        "MobileNet-like step": 928 + 2528 + 9152 + 2 * 18048 + 34688 + 2570,
        "Flax step": 896 + 320 + 2112 + 640 + 73856 + 1290,
    }


def test_batches():
    network = SMALL["plain"]
    images, labels = network.of_batches(3).batch()
    assert images.shape == (3 * network.images[0], *network.images[1:])
    assert len(labels) == len(images)
    assert network.of_batches(3).init is network.init


def test_work_of_a_step():
    """The first layer needs no gradient of the images."""
    conv, dense, last = Network.of(TINY, (2, 2, 2, 3)).work()["step"]
    adds, images, kernel, y = 2 * 4 * 9 * 3 * 4, 2 * 4 * 3, 9 * 3 * 4, 2 * 4 * 4
    assert conv == Work(2 * adds, 4 * (images + 2 * kernel + 2 * y))
    assert dense == Work(3 * 2 * 4 * 8, 2 * 4 * (2 * 4 + 4 * 8 + 2 * 8))
    assert last == Work(3 * 2 * 8 * 10, 2 * 4 * (2 * 8 + 8 * 10 + 2 * 10))
