"""by_hand on networks that were not written for it: the numbers of the networks themselves."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import jaxprs_in_params
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from rules import assert_trees_close, jit, normal
from transform.zoo import ZOO, drawn, floats, network

from jaxconv.transform import by_hand

WHOLE_LIBRARY = ("linen_resnet", "nnx_mnist", "equinox_mnist", "haiku_lenet", "plain_layouts")
"""Examples of each library, where a test is not for all."""


QUICK = (
    "linen_mnist", "linen_unet", "nnx_autoencoder", "equinox_mnist", "equinox_sound",
    "haiku_lenet", "haiku_separable", "stax_vgg", "plain_layouts", "plain_pools",
)  # fmt: skip
"""What runs by default."""


@pytest.fixture(autouse=True)
def as_in_these_libraries():
    """They mix dtypes and ranks."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def on(*names):
    return pytest.mark.parametrize("name", names)


def both(transform, net, *args, tolerance=1e-10):
    """The transformed loss, with and without our rules, in one program."""
    losses = net.loss(by_hand), net.loss()
    args = args or (net.params, net.x)
    got, want = jit(lambda *args: tuple(transform(loss)(*args) for loss in losses))(*args)
    assert_trees_close(got, want, tolerance=tolerance)
    assert all(np.all(np.isfinite(leaf)) for leaf in floats(want))
    assert any(np.any(leaf != 0) for leaf in floats(want))


def value_and_gradients(loss):
    return jax.value_and_grad(loss, (0, 1))


def names_in(jaxpr):
    """The primitives of a program, rules of custom_vjp not included."""
    for eqn in jaxpr.eqns:
        yield eqn.primitive.name
        if "custom_vjp" not in eqn.primitive.name:
            for inner in jaxprs_in_params(eqn.params):
                yield from names_in(inner)


def convolutions_and_pools(function, *args):
    found = names_in(jax.make_jaxpr(function)(*args).jaxpr)
    return [n for n in found if n == "conv_general_dilated" or n.startswith("reduce_window")]


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.thorough) for n in ZOO]
)
def test_value_and_gradients(name):
    net = network(name)
    assert len(convolutions_and_pools(net.apply, net.params, net.x, *net.more)) > net.left
    ours = convolutions_and_pools(by_hand(net.apply), net.params, net.x, *net.more)
    assert len(ours) == net.left
    both(value_and_gradients, net)


@pytest.mark.thorough
@on(*QUICK)
def test_value(name):
    """The results themselves, of any structure, also from a call outside of jit."""
    net = network(name)
    ours = by_hand(net.apply)
    want = jit(net.apply)(net.params, net.x, *net.more)
    assert_trees_close(jit(ours)(net.params, net.x, *net.more), want)
    if name in ("linen_mnist", "equinox_sound", "plain_pools"):
        assert_trees_close(ours(net.params, net.x, *net.more), want)


# Ways to get a gradient


def jit_inside(loss):
    return jax.grad(jax.jit(loss), (0, 1))


def jit_outside(loss):
    return jax.jit(jax.grad(loss, (0, 1)))


def mapped_parameters(loss):
    """An ensemble: parameters with an axis in front."""

    def gradients(params, x):
        many = jax.tree.map(lambda p: jnp.stack([p, 1.1 * p, p + 0.01]), params)
        return jax.vmap(jax.grad(loss, (0, 1)), (0, None))(many, x)

    return gradients


def accumulated(loss):
    """Gradients of several inputs, added up by a scan."""

    def gradients(params, x):
        def step(total, scale):
            gradient = jax.grad(loss, (0, 1))(params, jax.tree.map(lambda a: scale * a, x))
            return jax.tree.map(jnp.add, total, gradient), scale

        zeros = jax.tree.map(jnp.zeros_like, (params, x))
        return lax.scan(step, zeros, jnp.array([1.0, -0.5, 2.0]))[0]

    return gradients


def through_a_scan(loss):
    """The gradient of a later step reaches the parameters of all earlier ones."""

    def total(params, x):
        def step(params, scale):
            value = loss(params, x)
            return jax.tree.map(lambda p: p + 0.01 * jnp.tanh(scale * value) * p, params), value

        values = lax.scan(step, params, jnp.array([1.0, 2.0]))[1]
        return jnp.sum(values * jnp.array([3.0, 1.0]))

    return jax.grad(total, (0, 1))


def checkpointed(policy=None):
    return lambda loss: jax.grad(jax.checkpoint(loss, policy=policy), (0, 1))


def branches(loss):
    """A branch with the network and one without, and a predicate that is not known."""

    def chosen(params, x):
        x0 = jax.tree.leaves(x)[0].ravel()[0]
        a = lax.cond(x0 < 100, loss, lambda params, x: 0.0 * x0, params, x)
        return a + lax.switch(jnp.int32(x0 > 100), [lambda: 2 * loss(params, x), lambda: x0])

    return jax.grad(chosen, (0, 1))


def mapped_by_a_loop(loss):
    def gradients(params, x):
        scales = jnp.array([0.5, 1.0, 2.0])
        return lax.map(
            lambda s: jax.grad(loss)(params, jax.tree.map(lambda a: s * a, x)), scales, batch_size=2
        )

    return gradients


def descended(params, gradient):
    return jax.tree.map(lambda p, g: p - 0.01 * g, params, gradient)


def two_steps(loss):
    """Descent with a fixed number of steps, and the gradient through all of them."""

    def last(params, x):
        def step(_, params):
            return descended(params, jax.grad(loss)(params, x))

        return loss(lax.fori_loop(0, 2, step, params), x)

    return jax.value_and_grad(last)


def dynamic_steps(loss):
    """Descent until a condition holds: the gradient is inside the loop, not through it."""

    def until(params, x):
        def step(state):
            i, params = state
            return i + 1, descended(params, jax.grad(loss)(params, x))

        return lax.while_loop(lambda s: (s[0] < 3) & (loss(s[1], x) < 1e3), step, (0, params))

    return until


def reverse_over_reverse(loss):
    def bent(params, x):
        gradients = floats(jax.grad(loss, (0, 1))(params, x))
        weights = [normal(70 + i, g.shape) for i, g in enumerate(gradients)]
        return sum(jnp.sum(w * jnp.sin(g)) for w, g in zip(weights, gradients, strict=True))

    return jax.grad(bent, (0, 1))


def forward_over_reverse(loss):
    def product(params, x):
        tangents = jax.tree.map(lambda a: jnp.asarray(normal(a.size, a.shape)), (params, x))
        return jax.jvp(jax.grad(loss, (0, 1)), (params, x), tangents)

    return product


def vector_jacobian(loss):
    """Several cotangents by one vmap of a pullback."""

    def pulled(params, x):
        value, pull = jax.vjp(loss, params, x)
        return value, jax.vmap(pull)(jnp.array([1.0, -2.0, 0.5]))

    return pulled


SECOND_DERIVATIVE_OF_A_SCAN = pytest.mark.xfail(
    jax.version.__version_info__ < (0, 11),
    raises=ValueError,
    reason="custom_vmap in a scan cannot be linearized (jaxconv/contraction/mapped.py)",
)
POLICIES = jax.checkpoint_policies
WAYS = {
    "jit inside": (jit_inside, WHOLE_LIBRARY),
    "jit outside": (jit_outside, WHOLE_LIBRARY),
    "vmap of parameters": (
        mapped_parameters, ("linen_mobilenet", "equinox_sound", "plain_layouts"),
    ),
    "accumulation": (accumulated, ("linen_unet", "nnx_mnist", "plain_dcgan", "haiku_separable")),
    "through a scan": (through_a_scan, ("linen_conformer", "plain_pools", "equinox_volume")),
    "checkpoint": (checkpointed(), ("linen_resnet", "equinox_mnist", "plain_layouts")),
    "everything_saveable": (
        checkpointed(POLICIES.everything_saveable), ("linen_inception", "haiku_transposed"),
    ),
    "dots_saveable": (
        checkpointed(POLICIES.dots_saveable), ("linen_video", "equinox_mnist", "plain_squeezenet"),
    ),
    "branches": (branches, ("linen_pixelcnn", "haiku_lenet", "plain_signal")),
    "lax.map": (mapped_by_a_loop, ("linen_vae", "equinox_stateful", "plain_patches")),
    "fori_loop": (two_steps, ("linen_wavenet", "stax_vgg", "plain_layouts")),
    "while_loop": (dynamic_steps, ("linen_local_and_circular", "nnx_autoencoder", "plain_ssim")),
    "reverse over reverse": (
        reverse_over_reverse,
        ("linen_unet", "equinox_sound", "plain_automaton", "plain_pools", "plain_layouts"),
    ),
    "forward over reverse": (
        forward_over_reverse,
        ("linen_inception", "equinox_volume", "nnx_autoencoder", "haiku_lenet",
         "plain_dynamic_filters"),
    ),
    "pullback of many": (vector_jacobian, ("linen_mnist", "haiku_separable", "plain_pools")),
}  # fmt: skip


@pytest.mark.parametrize(
    ("way", "name"),
    [
        pytest.param(way, name, marks=pytest.mark.thorough) if i else (way, name)
        for way, (_, names) in WAYS.items()
        for i, name in enumerate(reversed(names))
    ],
)
def test_way(way, name, request):
    if (way, name) == ("reverse over reverse", "plain_automaton"):
        request.applymarker(SECOND_DERIVATIVE_OF_A_SCAN)
    both(WAYS[way][0], network(name), tolerance=1e-9)


@pytest.mark.thorough
@on("linen_mnist", "linen_scan_of_remat", "equinox_stateful", "haiku_resnet", "plain_pools")
def test_outside_of_everything(name):
    """The loss itself in our rules, with jit and checkpoint inside of it, eager and jitted."""
    net = network(name)
    loss, args = net.loss(), (net.params, net.x)
    want = jit(value_and_gradients(loss))(*args)
    for inside in (jax.jit(loss), jax.checkpoint(loss)):
        assert_trees_close(jit(value_and_gradients(by_hand(inside)))(*args), want)
    if name in ("linen_mnist", "plain_pools"):
        assert_trees_close(value_and_gradients(by_hand(jax.jit(loss)))(*args), want)


@pytest.mark.thorough
@on("linen_mnist", "nnx_mnist", "haiku_lenet", "equinox_sound", "plain_dcgan", "plain_patches")
def test_gradients_per_example(name):
    net = network(name)

    def single(wrap):
        loss = dataclasses.replace(net, x=net.x[:1]).loss(wrap)
        return lambda params, x: jax.grad(loss, (0, 1))(params, x[None])

    got, want = (jit(jax.vmap(single(w), (None, 0))) for w in (by_hand, lambda f: f))
    assert_trees_close(got(net.params, net.x), want(net.params, net.x))
    # by_hand around a vmap, too.
    inside = by_hand(jax.vmap(net.apply, (None, 0, *[None] * len(net.more))))
    stacked = net.x[:, None]
    want = jit(jax.vmap(net.apply, (None, 0, *[None] * len(net.more))))
    assert_trees_close(
        jit(inside)(net.params, stacked, *net.more), want(net.params, stacked, *net.more)
    )


@pytest.mark.thorough
@on(*WHOLE_LIBRARY)
def test_steps_of_training_with_donated_parameters(name):
    net = network(name)
    ends = []
    for wrap in (by_hand, lambda apply: apply):
        loss = net.loss(wrap)

        @partial(jit, donate_argnums=0)
        def step(params, x, loss=loss):
            value, gradient = jax.value_and_grad(loss)(params, x)
            return descended(params, gradient), value

        params = jax.tree.map(jnp.copy, net.params)
        for _ in range(3):
            before = params
            params, value = step(params, net.x)
            assert all(p.is_deleted() for p in jax.tree.leaves(before))
        ends.append((params, value))
    assert_trees_close(*ends)


# Many devices


SPLIT, SAME = PartitionSpec("data"), PartitionSpec()


def mesh_of(kind=AxisType.Auto):
    return Mesh(np.array(jax.devices()), ("data",), axis_types=(kind,))


def for_devices(net):
    """The network with two examples for each device."""
    x = jnp.asarray(normal(8, (2 * jax.device_count(), *net.x.shape[1:])))
    return dataclasses.replace(net, x=x)


sharded = on("linen_mnist", "linen_mobilenet", "haiku_lenet", "equinox_mnist", "plain_dcgan")


@pytest.mark.thorough
@sharded
def test_a_batch_that_the_compiler_splits(name):
    net = for_devices(network(name))
    want = jit(value_and_gradients(net.loss()))(net.params, net.x)
    mesh = mesh_of()
    split, same = NamedSharding(mesh, SPLIT), NamedSharding(mesh, SAME)
    gradients = value_and_gradients(net.loss(by_hand))
    options = {"in_shardings": (same, split), "out_shardings": (same, (same, split))}
    got = jit(gradients, **options)(net.params, net.x)
    assert got[1][1].sharding.is_equivalent_to(split, net.x.ndim)
    assert_trees_close(got, want)
    placed = jax.device_put(net.params, same), jax.device_put(net.x, split)
    applied = (jit(f)(*placed, *net.more) for f in (by_hand(net.apply), net.apply))
    assert_trees_close(*applied)


@pytest.mark.thorough
@sharded
@pytest.mark.parametrize("outside", [True, False])
def test_shard_map_with_sums_of_gradients(name, outside):
    """by_hand around shard_map, and inside of it; each device adds what all have."""
    net = for_devices(network(name))
    weights = jnp.asarray(normal(9, net.x.shape[:1]))

    def local(wrap):
        def loss(params, x, weights):
            leaves = floats(wrap(net.apply)(params, x, *net.more))
            return sum(jnp.sum(jnp.sin(y).reshape(len(x), -1).sum(-1) * weights) for y in leaves)

        return loss

    def summed(loss):
        def total(params, x, weights):
            return lax.psum(loss(params, x, weights), "data")

        return jax.shard_map(total, mesh=mesh_of(), in_specs=(SAME, SPLIT, SPLIT), out_specs=SAME)

    args = net.params, net.x, weights
    want = jit(value_and_gradients(local(lambda f: f)))(*args)
    if outside:
        got = jit(value_and_gradients(by_hand(summed(local(lambda f: f)))))(*args)
    else:
        got = jit(value_and_gradients(summed(local(by_hand))))(*args)
    assert_trees_close(got, want)

    # The older form: gradients inside, whose sums are taken by hand.
    def gradients(params, x, weights):
        value, gradients = jax.value_and_grad(local(by_hand))(params, x, weights)
        return jax.tree.map(lambda g: lax.psum(g, "data"), (value, gradients))

    mapped = jax.shard_map(
        gradients, mesh=mesh_of(), in_specs=(SAME, SPLIT, SPLIT), out_specs=SAME, check_vma=False
    )
    assert_trees_close(jit(mapped)(*args), (want[0], want[1][0]))


@pytest.mark.thorough
@on("linen_mnist", "plain_dcgan")
def test_meshes_whose_axes_are_part_of_the_type(name):
    net = for_devices(network(name))
    mesh = mesh_of(AxisType.Explicit)
    with jax.set_mesh(mesh):
        params = jax.device_put(net.params, NamedSharding(mesh, SAME))
        x = jax.device_put(net.x, NamedSharding(mesh, SPLIT))
        results = []
        for wrap in (by_hand, lambda f: f):

            def loss(params, x, wrap=wrap):
                return sum(jnp.sum(jnp.sin(y)) for y in floats(wrap(net.apply)(params, x)))

            results.append(jit(jax.grad(loss, (0, 1)))(params, x))
    assert_trees_close(*jax.device_get(results))


# What is saved for the backward pass


def named_layers(params, x):
    for i, kernel in enumerate(params):
        x = jnp.tanh(lax.conv(x, kernel, (1, 2 - i % 2), "SAME"))
        x = checkpoint_name(x, f"layer{i}")
    return x


@pytest.mark.parametrize("kept", [("layer0",), ("layer0", "layer1"), ()])
def test_names_for_policies_are_kept(kept, capsys):
    params = [jnp.asarray(normal(i, (2, 2, 3, 2)) / 3) for i in range(3)]
    x = jnp.asarray(normal(5, (3, 2, 7, 6)))
    policy = POLICIES.save_only_these_names(*kept)

    def loss(wrap):
        inner = jax.checkpoint(named_layers, policy=policy)
        return lambda params, x: jnp.sum(jnp.sin(wrap(inner)(params, x)))

    texts = []
    for wrap in (by_hand, lambda f: f):
        jax.ad_checkpoint.print_saved_residuals(loss(wrap), params, x)
        texts.append([line.split(" from ")[0] for line in capsys.readouterr().out.splitlines()])
    assert texts[0] == texts[1]
    for name in ("layer0", "layer1"):
        assert any(f"'{name}'" in line for line in texts[0]) == (name in kept)
    got, want = jit(
        lambda *a: tuple(jax.grad(loss(w), (0, 1))(*a) for w in (by_hand, lambda f: f))
    )(params, x)
    assert_trees_close(got, want)


# Batch norms that share statistics


@pytest.mark.thorough
def test_batch_norm_over_the_axis_of_a_vmap():
    nn = pytest.importorskip("flax.linen")

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.Conv(4, (3, 2), strides=(2, 1))(x)
            x = nn.BatchNorm(use_running_average=False, axis_name="replica")(x)
            return nn.max_pool(nn.relu(x), (2, 2))

    module, x = Network(), jnp.asarray(normal(0, (3, 2, 7, 6, 2)))
    variables = drawn(jax.eval_shape(module.init, jax.random.key(0), x[0]))

    def apply(variables, x):
        return module.apply(variables, x, mutable=["batch_stats"])

    def mapped(apply):
        return jax.vmap(apply, (None, 0), axis_name="replica")

    def loss(apply):
        def loss(variables, x):
            y, state = apply(variables, x)
            return jnp.sum(jnp.sin(y) * normal(1, y.shape)) + sum(map(jnp.sum, floats(state)))

        return value_and_gradients(loss)

    want = jit(loss(mapped(apply)))(variables, x)
    assert_trees_close(jit(loss(mapped(by_hand(apply))))(variables, x), want)
    assert_trees_close(jit(loss(by_hand(mapped(apply))))(variables, x), want)


# The transformations of Equinox


class TestEquinox:
    @pytest.fixture
    def eqx(self):
        return pytest.importorskip("equinox")

    @pytest.fixture
    def model(self, eqx):
        class Model(eqx.Module):
            layers: list
            name: str
            scale: float

            def __init__(self, key):
                keys = jax.random.split(key)
                self.layers = [
                    eqx.nn.Conv2d(2, 4, (3, 2), stride=(1, 2), groups=2, key=keys[0], dtype=float),
                    jax.nn.relu,
                    eqx.nn.MaxPool2d(2, stride=1),
                    eqx.nn.ConvTranspose2d(4, 1, 2, stride=2, key=keys[1], dtype=float),
                ]
                self.name, self.scale = "small", 2.0

            def __call__(self, x):
                for layer in self.layers:
                    x = layer(x)
                return self.scale * x

        return Model(jax.random.key(0))

    x = jnp.asarray(normal(1, (3, 2, 7, 9)))

    @staticmethod
    def loss(model, x):
        assert model.name == "small"
        y = jax.vmap(model)(x)
        return jnp.sum(jnp.sin(y) * normal(2, y.shape))

    def test_filtered_gradients_of_a_module(self, eqx, model):
        """The module, with its functions and strings, is an argument."""
        want = eqx.filter_jit(eqx.filter_value_and_grad(self.loss))(model, self.x)
        ours = eqx.filter_value_and_grad(by_hand(self.loss))
        value, gradient = eqx.filter_jit(ours)(model, self.x)
        assert_trees_close((value, eqx.filter(gradient, eqx.is_array)),
                           (want[0], eqx.filter(want[1], eqx.is_array)))  # fmt: skip
        assert type(gradient) is type(model)

    @pytest.mark.thorough
    def test_outside_of_jit(self, eqx, model):
        want = eqx.filter_jit(eqx.filter_grad(self.loss))(model, self.x)
        assert_trees_close(eqx.filter_grad(by_hand(self.loss))(model, self.x), want)

    @pytest.mark.thorough
    def test_around_a_jitted_loss(self, eqx, model):
        want = eqx.filter_jit(eqx.filter_grad(self.loss))(model, self.x)
        got = eqx.filter_jit(eqx.filter_grad(by_hand(eqx.filter_jit(self.loss))))(model, self.x)
        assert_trees_close(got, want)

    @pytest.mark.thorough
    def test_around_the_module(self, eqx, model):
        """A callable object. Equinox warns of it, as it does of jax.vmap(model)."""
        want = jax.jit(jax.vmap(model))(self.x)
        assert_trees_close(jax.jit(jax.vmap(by_hand(model)))(self.x), want)
        assert_trees_close(jax.jit(by_hand(eqx.filter_vmap(model)))(self.x), want)
        for mapped in (by_hand(eqx.filter_vmap(model)), jax.vmap(model)):
            with pytest.warns(UserWarning, match="JAX-transformed callable as an attribute"):
                assert_trees_close(eqx.filter_jit(mapped)(self.x), want)

    @pytest.mark.thorough
    def test_modules_as_results(self, eqx, model):
        """A step that takes and returns a module keeps all that is no array."""

        def step(model, x):
            y = jax.vmap(model)(x)
            return eqx.tree_at(lambda m: m.scale, model, jnp.mean(y)), y

        (new, y), (want, wanted) = by_hand(step)(model, self.x), step(model, self.x)
        assert new.name == "small"
        assert new.layers[1] is model.layers[1]
        assert_trees_close((eqx.filter(new, eqx.is_array), y),
                           (eqx.filter(want, eqx.is_array), wanted))  # fmt: skip

    @pytest.mark.thorough
    def test_checkpoint_and_scan_of_equinox(self, eqx):
        def make(key):
            return eqx.nn.Conv1d(3, 3, 3, padding="SAME", key=key, dtype=float)

        layers = eqx.filter_vmap(make)(jax.random.split(jax.random.key(0), 3))
        arrays, static = eqx.partition(layers, eqx.is_array)
        x = jnp.asarray(normal(3, (3, 7)))

        def loss(arrays, x):
            @eqx.filter_checkpoint
            def layer(x, arrays):
                return jnp.tanh(eqx.combine(arrays, static)(x)), None

            return jnp.sum(jnp.sin(lax.scan(layer, x, arrays)[0]) * normal(4, x.shape))

        want = jit(value_and_gradients(loss))(arrays, x)
        assert_trees_close(jit(value_and_gradients(by_hand(loss)))(arrays, x), want)

    @pytest.mark.thorough
    def test_while_loops_of_equinox_that_can_be_differentiated(self, eqx):
        """eqx.internal.while_loop has rules of its own, which are left whole."""
        kernel, x = jnp.asarray(normal(5, (2, 2, 3)) / 3), jnp.asarray(normal(6, (3, 2, 7)))

        def loss(kernel, x):
            def body(state):
                return state[0] + 1, jnp.tanh(lax.conv(state[1], kernel, (1,), "SAME"))

            _, y = eqx.internal.while_loop(
                lambda s: s[0] < 3, body, (jnp.int32(0), x), kind="checkpointed", max_steps=4
            )
            return jnp.sum(y * normal(7, y.shape))

        want = jit(value_and_gradients(loss))(kernel, x)
        assert_trees_close(jit(value_and_gradients(by_hand(loss)))(kernel, x), want)


# The transformations of Flax nnx


class TestNnx:
    @pytest.fixture
    def nnx(self):
        return pytest.importorskip("flax.nnx")

    @pytest.fixture
    def build(self, nnx):
        class Network(nnx.Module):
            def __init__(self, rngs):
                self.conv = nnx.Conv(2, 3, (3, 2), strides=(2, 1), rngs=rngs)
                self.bn = nnx.BatchNorm(3, rngs=rngs)
                self.dropout = nnx.Dropout(0.3, rngs=rngs)
                self.calls = 0

            def __call__(self, x):
                self.calls += 1
                y = self.dropout(nnx.relu(self.bn(self.conv(x))))
                return nnx.max_pool(y, (2, 2), (1, 1))

        @nnx.jit
        def build():
            graph, state = nnx.split(Network(nnx.Rngs(0)))
            wide = jax.tree.map(
                lambda leaf: leaf.astype(float) if leaf.dtype == np.float32 else leaf, state
            )
            return nnx.merge(graph, wide)

        return build

    x = jnp.asarray(normal(1, (3, 7, 6, 2)))

    @staticmethod
    def loss(module, x):
        y = module(x)
        return jnp.sum(jnp.sin(y) * normal(2, y.shape))

    def compare(self, nnx, build, ours, plain):
        """Results of two calls, for the random numbers of the second, and the state after them."""
        ends = []
        for function in (ours, plain):
            module = build()
            results = [function(module, self.x) for _ in range(2)]
            ends.append((jax.tree.leaves(results), jax.tree.leaves(nnx.state(module))))
        ends = jax.tree.map(
            lambda a: jax.random.key_data(a) if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else a,
            ends,
        )
        assert_trees_close(*ends)

    @pytest.mark.thorough
    def test_gradients_of_a_module_and_its_new_state(self, nnx, build):
        want = nnx.jit(nnx.value_and_grad(self.loss))
        self.compare(nnx, build, nnx.jit(nnx.value_and_grad(by_hand(self.loss))), want)

    @pytest.mark.thorough
    def test_gradients_outside_of_jit(self, nnx, build):
        want = nnx.jit(nnx.value_and_grad(self.loss))
        self.compare(nnx, build, nnx.value_and_grad(by_hand(self.loss)), want)

    @pytest.mark.thorough
    def test_a_call(self, nnx, build):
        def call(module, x):
            return module(x)

        for ours in (by_hand(nnx.jit(call)), nnx.jit(by_hand(call))):
            self.compare(nnx, build, ours, nnx.jit(call))

    @pytest.mark.thorough
    def test_parts(self, nnx, build):
        """As the guides of Flax have it for jax.grad: split and merge."""

        def loss(wrap):
            def loss(params, rest, graph, x):
                module = nnx.merge(graph, params, rest, copy=True)
                return self.loss(module, x), nnx.state(module, nnx.BatchStat)

            return jax.value_and_grad(wrap(loss), has_aux=True)

        graph, params, rest = nnx.split(build(), nnx.Param, ...)
        want = loss(lambda f: f)(params, rest, graph, self.x)
        got = loss(by_hand)(params, rest, graph, self.x)
        assert_trees_close(jax.tree.leaves(got), jax.tree.leaves(want))

    @pytest.mark.thorough
    @pytest.mark.parametrize("as_module", [True, False])
    def test_gradients_of_jax_beside_a_module(self, nnx, as_module):
        """jax.grad for one argument, and a module or Variable that is read in another."""
        conv = nnx.Conv(2, 3, (3, 2), rngs=nnx.Rngs(0), param_dtype=float)
        other = conv if as_module else conv.kernel

        def loss(wrap):
            def loss(x, other):
                kernel = (other.kernel if as_module else other)[...]
                y = lax.conv_general_dilated(
                    x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
                )
                return jnp.sum(jnp.sin(y) * normal(3, y.shape))

            return jax.value_and_grad(wrap(loss))(self.x, other)

        assert_trees_close(loss(by_hand), loss(lambda f: f))

    @pytest.mark.thorough
    def test_attributes_of_python(self, nnx, build):
        """A counter that is no Variable stays, as docs/by_hand.md says."""
        module = build()
        by_hand(self.loss)(module, self.x)
        assert module.calls == 0

    @pytest.mark.thorough
    def test_a_module_that_is_closed_over(self, nnx, build):
        """nnx.jit refuses to change one in another trace, and so does by_hand."""
        module = build()
        with pytest.raises(Exception, match="trace level"):
            by_hand(lambda x: self.loss(module, x))(self.x)
        module = build()
        with pytest.raises(Exception, match="trace level"):
            jax.jit(lambda x: self.loss(module, x))(self.x)

    @pytest.mark.thorough
    def test_an_optimizer(self, nnx, build):
        """The training loop of the tutorial."""
        optax = pytest.importorskip("optax")
        ends = []
        for wrap in (by_hand, lambda f: f):
            module = build()
            optimizer = nnx.Optimizer(module, optax.adam(1e-2), wrt=nnx.Param)

            @nnx.jit
            def step(module, optimizer, x, wrap=wrap):
                value, gradient = nnx.value_and_grad(wrap(self.loss))(module, x)
                optimizer.update(module, gradient)
                return value

            ends.append([step(module, optimizer, self.x) for _ in range(3)])
        assert_trees_close(*ends)


# Haiku


@pytest.mark.thorough
def test_haiku_state_and_keys():
    """transform_with_state: the state that comes back, and the numbers that keys draw."""
    hk = pytest.importorskip("haiku")

    def function(x, *, is_training):
        x = hk.Conv2D(4, (3, 2), stride=(2, 1))(x)
        x = hk.BatchNorm(True, True, 0.9)(x, is_training)
        x = hk.dropout(hk.next_rng_key(), 0.5, jax.nn.relu(x)) if is_training else x
        return hk.max_pool(x, (1, 2, 2, 1), (1, 1, 2, 1), "SAME")

    model = hk.transform_with_state(function)
    x, key = jnp.asarray(normal(0, (3, 7, 6, 2))), jax.random.PRNGKey(1)
    params, state = jit(model.init, static_argnames="is_training")(key, x, is_training=True)
    for is_training in (True, False):

        def loss(wrap, is_training=is_training):
            def loss(params, state, key, x):
                y, state = wrap(model.apply)(params, state, key, x, is_training=is_training)
                return jnp.sum(jnp.sin(y) * normal(2, y.shape)), state

            return jax.value_and_grad(loss, has_aux=True)

        want = jit(loss(lambda f: f))(params, state, key, x)
        assert_trees_close(jit(loss(by_hand))(params, state, key, x), want)


# Losses with derivatives inside of them


def critic(params, x):
    h = jax.nn.softplus(lax.conv_general_dilated(x, params[0], (2, 1), ((1, 0), (1, 1))))
    h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 1, 2), "SAME")
    return jnp.tanh(lax.conv(h, params[1], (1, 1), "VALID")).sum((1, 2, 3))


def penalty(params, x):
    """The gradient penalty of a Wasserstein GAN."""
    slopes = jax.grad(lambda x: critic(params, x).sum())(x)
    return jnp.sum((jnp.sqrt(jnp.sum(slopes**2, (1, 2, 3)) + 1e-3) - 1) ** 2)


def sliced_score(params, x):
    """Sliced score matching: forward mode over reverse mode, in the loss."""
    v = normal(3, x.shape)
    slope = jax.grad(lambda x: critic(params, x).sum())
    s, along = jax.jvp(slope, (x,), (v,))
    return jnp.sum(v * along) + 0.5 * jnp.sum(s**2)


def tangents(params, x):
    """Forward mode, in the loss."""
    _, along = jax.jvp(lambda x: critic(params, x), (x,), (normal(4, x.shape),))
    return jnp.sum(along**2)


CRITIC = (
    [jnp.asarray(normal(1, (4, 2, 3, 2)) / 3), jnp.asarray(normal(2, (3, 4, 2, 2)) / 3)],
    jnp.asarray(normal(5, (3, 2, 7, 8))),
)


@pytest.mark.parametrize("loss", [penalty, sliced_score, tangents])
def test_derivatives_inside(loss):
    """They are taken by JAX before our rules come in; what is computed must not change."""
    want = jit(value_and_gradients(loss))(*CRITIC)
    with pytest.warns(UserWarning, match="gradient that JAX has taken"):
        got = jit(value_and_gradients(by_hand(loss)))(*CRITIC)
    assert_trees_close(got, want)


def test_penalty_with_our_rules_inside():
    def ours(params, x):
        slopes = jax.grad(lambda x: by_hand(critic)(params, x).sum())(x)
        return jnp.sum((jnp.sqrt(jnp.sum(slopes**2, (1, 2, 3)) + 1e-3) - 1) ** 2)

    want = jit(value_and_gradients(penalty))(*CRITIC)
    assert_trees_close(jit(value_and_gradients(ours))(*CRITIC), want)


# Without 64 bits


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@on("linen_mnist", "plain_layouts", "plain_pools", "stax_vgg")
def test_errors_of_short_floats(name, dtype):
    """They are not larger than those of autodiff, where x64 is off.

    The error of one gradient is a matter of luck, so the ratio is a mean over many.
    """
    net = network(name)

    def gradients(wrap):
        def loss(params, x, weights):
            leaves = floats(wrap(net.apply)(params, x))
            return sum(jnp.sum(c * jnp.sin(y)) for c, y in zip(weights, leaves, strict=True))

        return jax.jit(jax.grad(loss, (0, 1)))

    exact, ours, autodiff = (gradients(wrap) for wrap in (lambda f: f, by_hand, lambda f: f))
    shapes = [y.shape for y in floats(jax.eval_shape(net.apply, net.params, net.x))]
    random = np.random.default_rng(0)

    def like(leaf):
        return np.asarray(random.standard_normal(leaf.shape) * np.std(leaf), dtype)

    ratios, errors = [], []
    for _ in range(200):
        weights = [random.standard_normal(shape).astype(dtype) for shape in shapes]
        args = *jax.tree.map(like, (net.params, net.x)), weights
        truth = exact(*jax.tree.map(lambda a: a.astype(np.float64), args))
        with jax.enable_x64(False):
            found = [jax.tree.leaves(f(*args)) for f in (ours, autodiff)]
        for a, b, t in zip(*found, jax.tree.leaves(truth), strict=True):
            assert a.dtype == b.dtype == dtype
            a, b, t = (np.asarray(v, np.float64).ravel() for v in (a, b, t))
            if not t.any():  # every unit is cut off
                continue
            off = [np.linalg.norm(v - t) / np.linalg.norm(t) + 1e-12 for v in (a, b)]
            errors.append(off[0])
            ratios.append(off[0] / off[1])
    assert np.exp(np.mean(np.log(ratios))) < 1.1
    assert np.median(errors) < 20 * jnp.finfo(dtype).eps
