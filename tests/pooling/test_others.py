"""What the options of the smaller pooling ops mean, and their extreme values."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from rules import assert_close, integers, normal

import jaxconv
from jaxconv.check.catalogue import CATALOGUE


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32])
def test_integers_have_a_minimum(dtype):
    info = np.iinfo(dtype)
    x = np.array([info.min, info.max, info.min, 5], dtype).reshape(1, 4, 1)
    assert jaxconv.min_pool(x, 2).ravel().tolist() == [info.min, info.min]
    padded = jaxconv.min_pool(x[:, 1:2], 2, padding=1, stride=2)
    assert padded.ravel().tolist() == [info.max]
    y, indices = jaxconv.max_pool_with_indices(x, 2)
    assert y.ravel().tolist() == [info.max, 5]
    assert indices.ravel().tolist() == [1, 3]
    for op in (jaxconv.global_max_pool, partial(jaxconv.adaptive_max_pool, output_size=3)):
        assert op(x).dtype == dtype
        assert op(x).max() == info.max


@pytest.mark.parametrize("op", ["max_pool", "min_pool", "max_pool_with_indices"])
def test_small_floats_are_refused(op):
    x = jnp.zeros((1, 4, 1), jnp.float8_e4m3fn)
    with pytest.raises(
        TypeError, match=f"{op}: x must be floating-point or integer, but its dtype is float8"
    ):
        getattr(jaxconv, op)(x, 2)


@pytest.mark.parametrize("p", [1, 2, 3, 4.5])
def test_norm_of_numpy(p):
    x = normal(0, (2, 12, 3))
    y = jaxconv.lp_pool(x, 4, p)
    assert_close(y, np.linalg.norm(x.reshape(2, 3, 4, 3), ord=p, axis=2))


def test_curvature_of_a_norm():
    """Of the length of (x, 1) at x = 0: 1, though |x| has a kink there."""
    norm = partial(jaxconv.lp_pool, window=2, p=2)
    hessian = jax.hessian(lambda x: norm(jnp.stack([x, 1.0]).reshape(1, 2, 1)).sum())(0.0)
    assert hessian == 1


def test_subsample_sees_whole_windows_and_is_a_mean_at_the_right_weight():
    x, dy = integers(0, (2, 5, 7, 3)), integers(1, (2, 2, 3, 3))
    weight, bias = np.full(3, 0.25), np.zeros(3)
    y, pull = jax.vjp(partial(jaxconv.subsample, window=2), x, weight, bias)
    assert_close(y, jaxconv.avg_pool(x, 2))
    dx, _, dbias = pull(dy)
    assert not np.any(dx[:, 4])
    assert not np.any(dx[:, :, 6])
    np.testing.assert_array_equal(dbias, dy.sum((0, 1, 2)))


def test_unpooling_is_what_pooling_does_backwards():
    x = normal(0, (2, 6, 7, 3))
    pool = partial(jaxconv.max_pool_with_indices, window=3, stride=2)
    (y, indices), pull = jax.vjp(pool, x)
    dy = normal(1, y.shape)
    (dx,) = pull((dy, np.zeros(indices.shape, jax.dtypes.float0)))
    assert_close(jaxconv.max_unpool(dy, indices, (6, 7)), dx)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64, np.uint32])
def test_indices_of_any_integer(dtype):
    indices = np.array([0, 126, 100]).astype(dtype).reshape(1, 3, 1)
    x = jaxconv.max_unpool(np.ones((1, 3, 1)), indices, 300)
    assert np.flatnonzero(x).tolist() == [0, 100, 126]


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_global_shapes(layout, keepdims):
    x = np.zeros((2, 3, 4, 5))
    for op in (jaxconv.global_avg_pool, jaxconv.global_max_pool):
        shape = op(x, keepdims=keepdims, layout=layout).shape
        kept = (2, 1, 1, 5) if layout == "channels_last" else (2, 3, 1, 1)
        assert shape == (kept if keepdims else tuple(n for n in kept if n != 1))


POOLS = [name for name in CATALOGUE if "pool" in name] + ["subsample"]


@pytest.mark.parametrize("name", POOLS)
def test_gradient_on_a_mesh_with_explicit_axes(name):
    """Where every array says how it is sharded, a constant made on the way must say it too."""
    record = CATALOGUE[name]
    sample = record.large()
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Explicit,))

    def put(array):
        spec = PartitionSpec("batch" if array.ndim == 4 else None)
        return jax.device_put(array, NamedSharding(mesh, spec))

    def loss(arrays, fixed):
        y, *_ = jax.tree.leaves(record.op(**arrays, **fixed, **sample.options))
        return jnp.sum(jnp.sin(y))

    gradient = jax.jit(jax.grad(loss))
    want = gradient(dict(sample.arrays), dict(sample.fixed))
    with jax.set_mesh(mesh):
        got = gradient(*(jax.tree.map(put, dict(each)) for each in (sample.arrays, sample.fixed)))
    for array, expected in want.items():
        assert_close(np.asarray(got[array]), expected)
