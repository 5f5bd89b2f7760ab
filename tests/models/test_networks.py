"""Networks with state: their sizes, their gradients against autodiff, and their averages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import variables
from rules import assert_trees_close, normal

import jaxconv
import jaxconv.reference
from jaxconv.models import (
    MODELS,
    convnext,
    described,
    mobilenet_v1,
    mobilenet_v2,
    resnet,
    small_resnet,
    strided,
    vgg,
)
from jaxconv.models.cost import cost_of
from jaxconv.models.named import USUAL
from jaxconv.models.resnet import bottleneck

SMALL = {
    "basic": (small_resnet(1, width=4), (6, 6, 2)),
    "bottleneck": (resnet(bottleneck, (1, 1)), (9, 9, 2)),
    "vgg": (vgg(((4, 3), (5,), (6,))), (6, 5, 2)),
    "mobilenet_v1": (mobilenet_v1(4, ((6, 2), (5, 1))), (6, 6, 2)),
    "mobilenet_v2": (
        mobilenet_v2(stages=((1, 4, 1, 1), (3, 5, 2, 2)), stem=6, head=7), (9, 7, 2)
    ),
    "convnext": (convnext((1, 2), (4, 6), drop_path=0.5), (16, 16, 2)),
    "signal": (strided((4, 5), 5), (12, 2)),
    "volume": (strided((4, 5), 3), (5, 6, 4, 2)),
}  # fmt: skip
QUICK = ("bottleneck", "volume")
KEY = jax.random.key(3)


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.thorough) for n in SMALL],
)
def test_reference_gives_the_same_logits_gradients_and_state(name):
    """In training, where what is dropped is dropped by both."""
    model, shape = SMALL[name]
    both = variables(model, np.float64, image_shape=shape, classes=3)
    x, c = normal(1, (4, *shape)), normal(2, (4, 3))

    def objective(ops):
        def loss(params, x):
            logits, state = model.apply(params, both.state, x, train=True, key=KEY, ops=ops)
            return jnp.sum(c * jnp.sin(logits)), (logits, state)

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))

    (_, (logits, state)), (slopes, dx) = hand = objective(jaxconv)(both.params, x)
    reference = objective(jaxconv.reference)(both.params, x)
    assert_trees_close(hand, reference, tolerance=1e-10)
    assert np.std(logits) > 0.01
    assert np.any(dx)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(slopes))
    assert jax.tree.structure(state) == jax.tree.structure(both.state)


@pytest.mark.parametrize("name", SMALL)
def test_evaluation_knows_nothing_of_the_other_images(name):
    model, shape = SMALL[name]
    both = variables(model, image_shape=shape, classes=3)
    x = jnp.asarray(normal(1, (4, *shape)), jnp.float32)
    apply = jax.jit(lambda x: model.apply(*both, x, train=False))
    logits, state = apply(x)
    np.testing.assert_allclose(apply(x[1:])[0], logits[1:], atol=1e-5)
    assert jax.tree.all(jax.tree.map(np.array_equal, state, both.state))


def test_sizes_of_the_published_networks():
    """Parameters of torchvision's networks, and multiply-adds as their papers count them."""
    published = {
        "resnet18": (11_689_512, 1.8e9),
        "resnet34": (21_797_672, 3.6e9),
        "resnet50": (25_557_032, 4.1e9),
        "mobilenetv2": (3_504_872, 300e6),
        "convnext-tiny": (28_589_128, 4.5e9),
        "resnet20": (272_474, 41e6),
    }
    assert USUAL.keys() == MODELS.keys()
    for name, (parameters, multiply_adds) in published.items():
        cost = cost_of(MODELS[name], *USUAL[name])
        assert cost.parameters == parameters
        assert cost.multiply_adds == pytest.approx(multiply_adds, rel=0.02)
        assert cost.step_bytes > 4 * 4 * parameters


# ---- layers ------------------------------------------------------------------------------


def one_norm(layers, x):
    return layers.logits("dense", layers.observe("norm", layers.batch_norm("norm", x)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, jnp.bfloat16])
def test_running_averages_are_those_of_pytorch(dtype):
    """A tenth of the batch's mean and of its unbiased variance; kept in their own dtype."""
    model = described(one_norm)
    params, state = model.init(KEY, (2,), 3)
    assert state["norm"]["mean"].tolist() == [0, 0]
    assert state["norm"]["var"].tolist() == [1, 1]
    x = np.array([[1.0, 8.0], [2.0, 4.0], [6.0, 0.0]])
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    wide = np.float64 if dtype is np.float64 else np.float32
    state = jax.tree.map(
        lambda leaf: leaf.astype(wide) if leaf.dtype == jnp.float32 else leaf, state
    )
    for times in (1, 2):
        _, state = model.apply(params, state, jnp.asarray(x, dtype), train=True)
        keep = 0.9**times
        tolerance = {"rtol": 1e-2 if dtype is jnp.bfloat16 else 1e-6}
        np.testing.assert_allclose(state["norm"]["mean"], (1 - keep) * x.mean(0), **tolerance)
        want = keep + (1 - keep) * x.var(0, ddof=1)
        np.testing.assert_allclose(state["norm"]["var"], want, **tolerance)
        assert state["norm"]["mean"].dtype == wide
        assert state["norm"]["batches"] == times
    seen = []
    logits, same = model.apply(
        params, state, jnp.asarray(x, dtype), train=False, observe=lambda *shown: seen.append(shown)
    )
    assert logits.dtype == dtype
    assert same == state
    ((name, y),) = seen
    mean, var = (np.asarray(state["norm"][leaf], np.float64) for leaf in ("mean", "var"))
    want = (x - mean) / np.sqrt(var + 1e-5)
    assert name == "norm"
    np.testing.assert_allclose(
        np.asarray(y, np.float64), want, rtol=1e-2 if dtype is jnp.bfloat16 else 1e-5
    )


def test_each_drop_has_a_key_of_its_own():
    def network(layers, x):
        return layers.logits("dense", layers.dropout(x, 0.5) + layers.drop_path(x, 0.5))

    model = described(network)
    params, state = model.init(KEY, (64,), 2)
    x = jnp.ones((8, 64), jnp.float32)
    outputs = [
        model.apply(params, state, x, train=True, key=jax.random.key(seed))[0] for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[0], outputs[2])
    with pytest.raises(ValueError, match="this network drops at random in training and needs a"):
        model.apply(params, state, x, train=True)
    model.apply(params, state, x, train=False)


def test_two_layers_of_one_name():
    def network(layers, x):
        return layers.logits("dense", layers.dense("dense", x, 3))

    with pytest.raises(ValueError, match="two layers of the network have the name 'dense'"):
        described(network).init(KEY, (4,), 2)


def test_initial_parameters_follow_the_key_and_the_layer():
    model = described(lambda layers, x: layers.logits("b", layers.dense("a", x, 8)))
    one, again, other = (model.init(jax.random.key(seed), (8,), 8)[0] for seed in (1, 1, 2))
    assert jax.tree.all(jax.tree.map(np.array_equal, one, again))
    assert not np.array_equal(one["a"]["w"], other["a"]["w"])
    assert not np.array_equal(one["a"]["w"], one["b"]["w"])
