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
from rules import assert_trees_close, normal
from transform.network import value_and_gradients
from transform.zoo import ZOO, drawn, floats, network

from jaxconv.transform import by_hand

WHOLE_LIBRARY = ("linen_resnet", "nnx_mnist", "equinox_mnist", "haiku_lenet", "plain_layouts")
"""Examples of each library, where a test is not for all."""


QUICK = (
    "linen_mnist", "linen_unet", "nnx_autoencoder", "equinox_mnist", "equinox_sound",
    "haiku_lenet", "haiku_separable", "stax_vgg", "plain_layouts", "plain_pools",
)  # fmt: skip
"""What runs by default."""


pytestmark = pytest.mark.usefixtures("mixed_promotion")


def on(*names):
    return pytest.mark.parametrize("name", names)


def both(transform, net, *args, tolerance=1e-10):
    """The transformed loss, with and without our rules, in one program."""
    losses = net.loss(by_hand), net.loss()
    args = args or (net.params, net.x)
    got, want = jax.jit(lambda *args: tuple(transform(loss)(*args) for loss in losses))(*args)
    assert_trees_close(got, want, tolerance=tolerance)
    assert all(np.all(np.isfinite(leaf)) for leaf in floats(want))
    assert any(np.any(leaf != 0) for leaf in floats(want))


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
    want = jax.jit(net.apply)(net.params, net.x, *net.more)
    assert_trees_close(jax.jit(ours)(net.params, net.x, *net.more), want)
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
def test_way(way, name):
    both(WAYS[way][0], network(name), tolerance=1e-9)


@pytest.mark.thorough
@on("linen_mnist", "linen_scan_of_remat", "equinox_stateful", "haiku_resnet", "plain_pools")
def test_outside_of_everything(name):
    """The loss itself in our rules, with jit and checkpoint inside of it, eager and jitted."""
    net = network(name)
    loss, args = net.loss(), (net.params, net.x)
    want = jax.jit(value_and_gradients(loss))(*args)
    for inside in (jax.jit(loss), jax.checkpoint(loss)):
        assert_trees_close(jax.jit(value_and_gradients(by_hand(inside)))(*args), want)
    if name in ("linen_mnist", "plain_pools"):
        assert_trees_close(value_and_gradients(by_hand(jax.jit(loss)))(*args), want)


@pytest.mark.thorough
@on("linen_mnist", "nnx_mnist", "haiku_lenet", "equinox_sound", "plain_dcgan", "plain_patches")
def test_gradients_per_example(name):
    net = network(name)

    def single(wrap):
        loss = dataclasses.replace(net, x=net.x[:1]).loss(wrap)
        return lambda params, x: jax.grad(loss, (0, 1))(params, x[None])

    got, want = (jax.jit(jax.vmap(single(w), (None, 0))) for w in (by_hand, lambda f: f))
    assert_trees_close(got(net.params, net.x), want(net.params, net.x))
    # by_hand around a vmap, too.
    inside = by_hand(jax.vmap(net.apply, (None, 0, *[None] * len(net.more))))
    stacked = net.x[:, None]
    want = jax.jit(jax.vmap(net.apply, (None, 0, *[None] * len(net.more))))
    assert_trees_close(
        jax.jit(inside)(net.params, stacked, *net.more), want(net.params, stacked, *net.more)
    )


@pytest.mark.thorough
@on(*WHOLE_LIBRARY)
def test_steps_of_training_with_donated_parameters(name):
    net = network(name)
    ends = []
    for wrap in (by_hand, lambda apply: apply):
        loss = net.loss(wrap)

        @partial(jax.jit, donate_argnums=0)
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
    want = jax.jit(value_and_gradients(net.loss()))(net.params, net.x)
    mesh = mesh_of()
    split, same = NamedSharding(mesh, SPLIT), NamedSharding(mesh, SAME)
    gradients = value_and_gradients(net.loss(by_hand))
    options = {"in_shardings": (same, split), "out_shardings": (same, (same, split))}
    got = jax.jit(gradients, **options)(net.params, net.x)
    assert got[1][1].sharding.is_equivalent_to(split, net.x.ndim)
    assert_trees_close(got, want)
    placed = jax.device_put(net.params, same), jax.device_put(net.x, split)
    applied = (jax.jit(f)(*placed, *net.more) for f in (by_hand(net.apply), net.apply))
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
    want = jax.jit(value_and_gradients(local(lambda f: f)))(*args)
    if outside:
        got = jax.jit(value_and_gradients(by_hand(summed(local(lambda f: f)))))(*args)
    else:
        got = jax.jit(value_and_gradients(summed(local(by_hand))))(*args)
    assert_trees_close(got, want)

    # The older form: gradients inside, whose sums are taken by hand.
    def gradients(params, x, weights):
        value, gradients = jax.value_and_grad(local(by_hand))(params, x, weights)
        return jax.tree.map(lambda g: lax.psum(g, "data"), (value, gradients))

    mapped = jax.shard_map(
        gradients, mesh=mesh_of(), in_specs=(SAME, SPLIT, SPLIT), out_specs=SAME, check_vma=False
    )
    assert_trees_close(jax.jit(mapped)(*args), (want[0], want[1][0]))


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

            results.append(jax.jit(jax.grad(loss, (0, 1)))(params, x))
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
    # JAX 0.10.0 does not print the name, but the operation that bears it.
    assert sum("'layer" in line or "reduce_precision" in line for line in texts[0]) == len(kept)
    got, want = jax.jit(
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

    want = jax.jit(loss(mapped(apply)))(variables, x)
    assert_trees_close(jax.jit(loss(mapped(by_hand(apply))))(variables, x), want)
    assert_trees_close(jax.jit(loss(by_hand(mapped(apply))))(variables, x), want)


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
    want = jax.jit(value_and_gradients(loss))(*CRITIC)
    with pytest.warns(UserWarning, match="gradient that JAX has taken"):
        got = jax.jit(value_and_gradients(by_hand(loss)))(*CRITIC)
    assert_trees_close(got, want)


def test_penalty_with_our_rules_inside():
    def ours(params, x):
        slopes = jax.grad(lambda x: by_hand(critic)(params, x).sum())(x)
        return jnp.sum((jnp.sqrt(jnp.sum(slopes**2, (1, 2, 3)) + 1e-3) - 1) ** 2)

    want = jax.jit(value_and_gradients(penalty))(*CRITIC)
    assert_trees_close(jax.jit(value_and_gradients(ours))(*CRITIC), want)


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
