"""Normalizations: statistics shared by devices, large offsets, and what the definition implies."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec
from rules import assert_close, assert_trees_close, normal, value_and_pullback

import jaxconv

X, SCALE, BIAS = 0.5 + normal(0, (4, 3, 5, 2)), normal(1, (2,)), normal(2, (2,))
DY = normal(3, X.shape), normal(4, (2,)), normal(5, (2,))  # of y, mean and var
SPLIT, WHOLE = PartitionSpec("devices"), PartitionSpec()


def sharded(x, scale, bias, *, tracked):
    """Batch norm on two devices, each with half of the batch."""
    call = jax.shard_map(
        partial(jaxconv.batch_norm, axis_name="devices"),
        mesh=Mesh(np.array(jax.devices()[:2]), ("devices",)),
        in_specs=(SPLIT, WHOLE, WHOLE),
        out_specs=(SPLIT, WHOLE, WHOLE),
        check_vma=tracked,
    )
    return call(x, scale, bias)


@pytest.mark.parametrize("tracked", [True, False])
def test_two_devices_are_one_batch(tracked):
    """With cotangents for mean and variance too, and once more differentiated."""
    call = partial(sharded, tracked=tracked)
    want = value_and_pullback(jaxconv.batch_norm, (X, SCALE, BIAS), DY)
    assert_trees_close(value_and_pullback(call, (X, SCALE, BIAS), DY), want)

    def along(op, arrays):
        gradients = value_and_pullback.__wrapped__(op, arrays, DY)[1]
        return sum(jnp.sum(normal(6, g.shape) * jnp.sin(g)) for g in gradients)

    twice = jax.jit(jax.grad(along, argnums=1), static_argnums=0)
    assert_trees_close(twice(call, (X, SCALE, BIAS)), twice(jaxconv.batch_norm, (X, SCALE, BIAS)))


def test_gradients_taken_on_the_devices():
    """As a data parallel training step does: the loss is made inside, its gradient summed."""

    @partial(
        jax.shard_map,
        mesh=Mesh(np.array(jax.devices()[:2]), ("devices",)),
        in_specs=(SPLIT, WHOLE, WHOLE, SPLIT),
        out_specs=(SPLIT, WHOLE, WHOLE),
    )
    def gradients(x, scale, bias, dy):
        def loss(x, scale, bias):
            y, mean, var = jaxconv.batch_norm(x, scale, bias, axis_name="devices")
            return jax.lax.psum(jnp.sum(dy * y), "devices") + jnp.sum(DY[1] * mean + DY[2] * var)

        return jax.grad(loss, argnums=(0, 1, 2))(x, scale, bias)

    want = value_and_pullback(jaxconv.batch_norm, (X, SCALE, BIAS), DY)[1]
    assert_trees_close(jax.jit(gradients)(X, SCALE, BIAS, DY[0]), want)


def test_a_batch_that_every_device_has():
    """x does not vary over the devices: the statistics are its own."""
    call = jax.shard_map(
        lambda *args: jaxconv.batch_norm(*args, axis_name="devices")[1:],
        mesh=Mesh(np.array(jax.devices()[:2]), ("devices",)),
        in_specs=(WHOLE, WHOLE, WHOLE),
        out_specs=(WHOLE, WHOLE),
    )
    got = value_and_pullback(call, (X, SCALE, BIAS), DY[1:])
    (_, *moments), (dx, *_) = value_and_pullback(
        jaxconv.batch_norm, (X, SCALE, BIAS), (np.zeros_like(X), *DY[1:])
    )
    assert_trees_close(got[0], tuple(moments))
    assert_close(got[1][0], dx)


def test_nothing_is_computed_of_moments_that_nobody_uses():
    """The cotangent of the variance, and it alone, is divided by r."""

    def divisions(outputs):
        def loss(x):
            values = jaxconv.batch_norm(x, SCALE, BIAS)
            return sum(jnp.sum(jnp.sin(value)) for value in values[:outputs])

        return str(jax.make_jaxpr(jax.grad(loss))(X)).count(" div ")

    assert divisions(3) == divisions(1) + 1


def test_vmap_over_named_axes():
    """Each copy of the statistics has a cotangent of its own; the whole batch has their sum."""
    inner = jax.vmap(
        partial(jaxconv.batch_norm, axis_name=("rows", "columns")), (0, None, None),
        axis_name="columns",
    )  # fmt: skip
    call = jax.vmap(inner, (0, None, None), axis_name="rows")
    x, dy = (a.reshape(2, 2, 1, *a.shape[1:]) for a in (X, DY[0]))
    copies = [normal(seed, (2, 2, 2)) for seed in (7, 8)]
    (y, mean, var), gradients = value_and_pullback(call, (x, SCALE, BIAS), (dy, *copies))
    total = tuple(c.sum((0, 1)) for c in copies)
    want = value_and_pullback(jaxconv.batch_norm, (X, SCALE, BIAS), (DY[0], *total))
    dx, *rest = gradients
    got = (y.reshape(X.shape), mean[1, 0], var[0, 1]), (dx.reshape(X.shape), *rest)
    assert_trees_close(got, want)


@pytest.mark.parametrize("compiled", [lambda call: call, jax.jit], ids=["eager", "compiled"])
@pytest.mark.parametrize("output", [0, 1, 2], ids=["y", "mean", "var"])
def test_one_output_over_a_named_axis(output, compiled):
    """The cotangents of the other outputs are zeros that JAX does not even store."""

    def loss(op, x):
        return jnp.sum(DY[output] * op(x, SCALE, BIAS)[output])

    def mapped(x, scale, bias):
        call = jax.vmap(partial(jaxconv.batch_norm, axis_name="i"), (0, None, None), axis_name="i")
        y, *moments = call(x[:, None], scale, bias)
        return y[:, 0], *(moment[0] for moment in moments)

    got, want = (compiled(jax.grad(partial(loss, op))) for op in (mapped, jaxconv.batch_norm))
    assert_trees_close(got(jnp.asarray(X)), want(jnp.asarray(X)))


def test_gradients_taken_under_vmap():
    """What `pmap` does: each part has its own loss, and dx is that of their sum."""
    own_mean = normal(7, (4, 2))

    def gradients(x, dy, d_mean):
        call = partial(jaxconv.batch_norm, axis_name="parts")
        return value_and_pullback(call, (x, SCALE, BIAS), (dy, d_mean, DY[2]))[1]

    dx, dscale, dbias = jax.vmap(gradients, axis_name="parts")(X[:, None], DY[0][:, None], own_mean)
    total = (DY[0], own_mean.sum(0), 4 * DY[2])
    want = value_and_pullback(jaxconv.batch_norm, (X, SCALE, BIAS), total)[1]
    assert_trees_close((dx.reshape(X.shape), dscale.sum(0), dbias.sum(0)), want)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_variance_keeps_its_digits(offset):
    """1e4 standard deviations off zero, E[x²] − E[x]² in float32 has no digit left.

    XLA of JAX 0.10.0 and 0.10.1 adds one number after the other. jnp.mean and jnp.var lose digits
    by it, and the moments here may lose as many.
    """
    x = (offset + normal(0, (64, 8, 8, 4))).astype(np.float32)
    ones = np.ones(4, np.float32)
    axes = (0, 1, 2)
    true_mean, true_var = x.astype(float).mean(axes), x.astype(float).var(axes)
    _, mean, var = jaxconv.batch_norm(x, ones, ones)
    lost_var = lost_mean = 0.0
    if jax.__version_info__ < (0, 10, 2):
        lost_var = 1.1 * np.max(np.abs(np.asarray(jnp.var(x, axes)) - true_var))
        lost_mean = 1.1 * np.max(np.abs(np.asarray(jnp.mean(x, axes)) - true_mean))
    np.testing.assert_allclose(var, true_var, rtol=1e-5, atol=lost_var)
    np.testing.assert_allclose(mean, true_mean, rtol=1e-6, atol=1e-6 + lost_mean)


NORMS = {
    "batch_norm": lambda x: jaxconv.batch_norm(x, np.ones(6), np.zeros(6), eps=0)[0],
    "layer_norm": partial(jaxconv.layer_norm, axis=(1, 3), eps=0),
    "group_norm": lambda x: jaxconv.group_norm(x, np.ones(6), np.zeros(6), 3, eps=0),
    "instance_norm": partial(jaxconv.instance_norm, eps=0),
    "weight_standardize": partial(jaxconv.weight_standardize, eps=0),
    "rms_norm": partial(jaxconv.rms_norm, axis=(1, 3), eps=0),
}
OVER = {  # x as (group, its numbers)
    "batch_norm": lambda x: np.moveaxis(x, -1, 0).reshape(6, -1),
    "layer_norm": lambda x: np.moveaxis(x, 2, 1).reshape(3 * 5, -1),
    "group_norm": lambda x: np.moveaxis(x.reshape(3, 4, 5, 3, 2), 3, 1).reshape(9, -1),
    "instance_norm": lambda x: np.moveaxis(x, -1, 1).reshape(18, -1),
    "weight_standardize": lambda x: np.moveaxis(x, -1, 0).reshape(6, -1),
    "rms_norm": lambda x: np.moveaxis(x, 2, 1).reshape(3 * 5, -1),
}


@pytest.mark.parametrize("name", OVER)
def test_a_gradient_has_no_part_in_what_is_normalized_away(name):
    """y is blind to the scale of a group (ε = 0) and to its offset: dx ⟂ x, and Σ dx = 0.

    The mean square of a normalized group is 1, and its mean 0 but for rms_norm.
    """
    x = 3 + 2 * normal(0, (3, 4, 5, 6))
    y, (dx,) = value_and_pullback(NORMS[name], (x,), normal(1, x.shape))
    y, dx, x = (OVER[name](np.asarray(a)) for a in (y, dx, x))
    assert_close((y**2).mean(1), 1)
    np.testing.assert_allclose((dx * x).sum(1), 0, atol=1e-12)
    if name != "rms_norm":
        np.testing.assert_allclose(y.mean(1), 0, atol=1e-12)
        np.testing.assert_allclose(dx.sum(1), 0, atol=1e-12)


def test_layer_norm_is_standardize_of_jax():
    x = normal(0, (3, 4, 5))
    assert_close(jaxconv.layer_norm(x, axis=(0, 2)), jax.nn.standardize(x, (0, 2), epsilon=1e-5))


def test_parameters_follow_the_axes_of_x_not_the_order_given():
    x, scale = normal(0, (2, 3, 4)), normal(1, (2, 4))
    for norm in (jaxconv.layer_norm, jaxconv.rms_norm):
        assert_close(norm(x, scale, axis=(-1, 0)), norm(x, scale, axis=(0, 2)))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 11])
def test_response_by_loops(size):
    x = normal(0, (2, 3, 5))
    want = np.empty_like(x)
    for n, p, c in np.ndindex(x.shape):
        window = [j for j in range(c - size // 2, c + (size - 1) // 2 + 1) if 0 <= j < 5]
        total = sum(x[n, p, j] ** 2 for j in window)
        want[n, p, c] = x[n, p, c] / (2 + 0.3 / size * total) ** 0.6
    assert_close(jaxconv.local_response_norm(x, size, alpha=0.3, beta=0.6, k=2.0), want)


def test_response_to_huge_numbers_is_finite():
    """Squares overflow 16 bits, but are not kept in them."""
    x = jnp.full((1, 3), 1e3, jnp.float16)
    y, (dx,) = value_and_pullback(partial(jaxconv.local_response_norm, size=3), (x,), x)
    assert bool(jnp.isfinite(y).all() & jnp.isfinite(dx).all())
