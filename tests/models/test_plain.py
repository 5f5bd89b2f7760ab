import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import TINY, parameters
from rules import assert_trees_close, normal

import jaxconv
import jaxconv.reference
from jaxconv.models import MODELS, plain

KERNELS = {
    "cs231n": {
        "conv1": (7, 7, 1, 32),
        "dense1": (4 * 4 * 32, 100),
        "dense2": (100, 10),
    },
    "convnet": {
        "conv1": (3, 3, 1, 32),
        "conv2": (3, 3, 32, 32),
        "conv3": (3, 3, 32, 64),
        "conv4": (3, 3, 64, 64),
        "dense1": (2 * 2 * 64, 128),
        "dense2": (128, 10),
    },
    "lenet": {
        "conv1": (5, 5, 1, 24),
        "conv2": (5, 5, 24, 64),
        "dense1": (2 * 2 * 64, 120),
        "dense2": (120, 84),
        "dense3": (84, 10),
    },
    "demystified": {
        "conv1": (5, 5, 1, 4),
        "conv2": (5, 5, 4, 4),
        "conv3": (3, 3, 4, 8),
        "conv4": (3, 3, 8, 16),
        "dense1": (2 * 2 * 16, 128),
        "dense2": (128, 10),
    },
}


each_model = pytest.mark.parametrize("name", KERNELS)


def shapes(model, **arguments):
    params, state = jax.eval_shape(lambda: model.init(jax.random.key(0), **arguments))
    assert state == {}
    return params


@each_model
def test_parameters_are_named_and_shaped_by_their_layers(name):
    params = shapes(MODELS[name], image_shape=(8, 8, 1), classes=10)
    assert {layer: leaves["w"].shape for layer, leaves in params.items()} == KERNELS[name]
    for leaves in params.values():
        assert set(leaves) == {"w", "b"}
        assert leaves["b"].shape == leaves["w"].shape[-1:]
        assert leaves["w"].dtype == leaves["b"].dtype == jnp.float32  # although x64 is on


@each_model
@pytest.mark.parametrize(
    ("image_shape", "classes"),
    [((8, 8, 1), 10), ((28, 28, 1), 10), ((9, 15, 3), 7), ((4, 5, 2), 1)],
)
def test_one_row_of_logits_per_image(name, image_shape, classes):
    model = MODELS[name]
    params = shapes(model, image_shape=image_shape, classes=classes)
    x = jax.ShapeDtypeStruct((5, *image_shape), jnp.float32)
    logits, _ = jax.eval_shape(partial(model.apply, train=True), params, {}, x)
    assert logits.shape == (5, classes)
    assert logits.dtype == jnp.float32


def test_initial_parameters_keep_the_variance_and_follow_the_key():
    model = plain((((2, 16),),), ())
    one, again, other = (
        model.init(jax.random.key(seed), image_shape=(4, 4, 16), classes=16)[0]
        for seed in (1, 1, 2)
    )
    fan_in = 2 * 2 * 16  # of both layers
    for leaves in one.values():
        w = np.asarray(leaves["w"])
        assert np.var(w) == pytest.approx(2 / fan_in, rel=0.15)  # of 1024 weights
        assert abs(np.mean(w)) < 4 * np.std(w) / w.size**0.5
        assert not np.any(leaves["b"])
    assert not np.isin(one["dense1"]["w"].ravel(), one["conv1"]["w"].ravel()).any()
    assert jax.tree.all(jax.tree.map(np.array_equal, one, again))
    assert not np.array_equal(one["conv1"]["w"], other["conv1"]["w"])


@pytest.mark.parametrize("name", sorted(KERNELS.keys() - {"cs231n"}))
@pytest.mark.parametrize("image_shape", [(3, 8, 1), (8, 3, 1), (1, 1, 1)])
def test_images_that_the_pooling_would_leave_nothing_of(name, image_shape):
    height, width, _ = image_shape
    message = (
        rf"images must be at least 4 × 4 for 2 rounds of pooling, but they are {height} × {width}$"
    )
    with pytest.raises(ValueError, match=message):
        MODELS[name].init(jax.random.key(0), image_shape=image_shape, classes=10)


class Recorder:
    """Plays `jaxconv`, and writes down which op was called with which keywords."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, op):
        def call(*args, **keywords):
            self.calls.append((op, keywords))
            return getattr(jaxconv, op)(*args, **keywords)

        return call


def test_the_order_of_ops_and_of_what_is_observed():
    """Also with ten convolutions, whose names do not sort in their order."""
    model = plain((((1, 2), (3, 3)), *(((1, 2),) for _ in range(8))), (5, 4), ties="split")
    image_shape = (512, 512, 1)
    params = shapes(model, image_shape=image_shape, classes=3)
    ops, observed = Recorder(), []

    def apply(params, x):
        def observe(name, value):
            observed.append((name, value.shape))
            assert ops.calls[-1][0] == "relu"  # what is shown is the activation

        return model.apply(params, {}, x, train=True, ops=ops, observe=observe)

    jax.eval_shape(apply, params, jax.ShapeDtypeStruct((1, *image_shape), jnp.float32))
    sizes = [512, 512, *(2**i for i in range(8, 0, -1))]
    channels = [2, 3, *(2 for _ in range(8))]
    assert observed == [
        *((f"conv{i}", (1, n, n, c)) for i, n, c in zip(itertools.count(1), sizes, channels)),
        ("dense1", (1, 5)),
        ("dense2", (1, 4)),
    ]
    block = ["conv", "relu", "max_pool"]
    assert [op for op, _ in ops.calls] == (
        ["conv", "relu", *block] + 8 * block + 2 * ["dense", "relu"] + ["dense"]
    )
    assert all(keywords["ties"] == "split" for op, keywords in ops.calls if op == "max_pool")


def test_reference_gives_the_same_logits_and_gradients():
    """Of ten convolutions in two rounds; train/test_verify.py does it for every model."""
    ten = (((3, 8), *((1, 8) for _ in range(8))), ((2, 4),))
    model, image_shape = plain(ten, (7,), ties="all"), (9, 7, 2)
    params = parameters(model, np.float64, image_shape=image_shape, classes=3)
    x, c = normal(1, (3, *image_shape)), normal(2, (3, 3))

    def objective(ops):
        def loss(params, x):
            logits, _ = model.apply(params, {}, x, train=True, ops=ops)
            return jnp.sum(c * jnp.sin(logits)), logits

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))

    (_, logits), gradients = hand = objective(jaxconv)(params, x)
    assert_trees_close(hand, objective(jaxconv.reference)(params, x))
    assert np.std(logits) > 0.01  # no dead network, whose gradients agree for nothing
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradients))

    # A tree's keys come back sorted: conv10 before conv2. Only the names count.
    leaves, structure = jax.tree.flatten(params)
    sorted_params = jax.tree.unflatten(structure, leaves)
    assert list(sorted_params) == sorted(params)
    again, _ = jax.jit(partial(model.apply, train=True))(sorted_params, {}, x)
    np.testing.assert_array_equal(again, logits)


def test_ties_decide_who_gets_the_gradient():
    """On an even image every window ties: "all" gives it to four, "first" to one."""
    first, everyone = (plain((((1, 1),),), (), ties=ties) for ties in ("first", "all"))
    params = {
        "conv1": {"w": jnp.ones((1, 1, 1, 1)), "b": jnp.zeros(1)},
        "dense1": {"w": jnp.array([[2.0], [3.0], [5.0], [7.0]]), "b": jnp.zeros(1)},
    }
    dx = [
        jax.grad(lambda x, model=model: jnp.sum(model.apply(params, {}, x, train=True)[0]))(
            jnp.ones((1, 4, 4, 1))
        )
        for model in (first, everyone)
    ]
    np.testing.assert_array_equal(
        dx[0][0, :, :, 0], [[2, 0, 3, 0], [0, 0, 0, 0], [5, 0, 7, 0], [0, 0, 0, 0]]
    )
    np.testing.assert_array_equal(
        dx[1][0, :, :, 0], [[2, 2, 3, 3], [2, 2, 3, 3], [5, 5, 7, 7], [5, 5, 7, 7]]
    )


def test_odd_sizes_lose_their_last_row_and_an_empty_batch_is_a_batch():
    params = parameters(TINY, image_shape=(5, 7, 1), classes=3)
    assert params["dense1"]["w"].shape == (2 * 3 * 4, 8)
    logits, _ = TINY.apply(params, {}, jnp.zeros((0, 5, 7, 1), jnp.float32), train=False)
    assert logits.shape == (0, 3)
