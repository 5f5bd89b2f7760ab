"""Networks of Flax nnx, as examples of that library write them."""

import functools

import pytest
from transform.network import Network, drawn, in_zoo
from transform.network import random_x as _x


def _nnx():
    return pytest.importorskip("flax.nnx")


def _of_nnx(build, x):
    """The module is put together from its parts, and its new state is a result."""
    nnx = _nnx()
    graph, state = nnx.split(nnx.eval_shape(build))

    def apply(params, x):
        module = nnx.merge(graph, params, copy=True)
        y = module(x)
        return y, nnx.state(module, nnx.BatchStat)

    return Network(apply, drawn(state), x)


@in_zoo
def _nnx_mnist():
    """The first tutorial of Flax nnx."""
    nnx = _nnx()

    class CNN(nnx.Module):
        def __init__(self, rngs):
            self.conv1 = nnx.Conv(1, 3, kernel_size=(3, 3), rngs=rngs)
            self.batch_norm1 = nnx.BatchNorm(3, rngs=rngs)
            self.conv2 = nnx.Conv(3, 4, kernel_size=(3, 3), strides=(1, 2), rngs=rngs)
            self.batch_norm2 = nnx.BatchNorm(4, rngs=rngs)
            self.linear = nnx.Linear(16, 3, rngs=rngs)
            self.avg_pool = functools.partial(nnx.avg_pool, window_shape=(2, 2), strides=(2, 2))

        def __call__(self, x):
            x = self.avg_pool(nnx.relu(self.batch_norm1(self.conv1(x))))
            x = nnx.max_pool(nnx.relu(self.batch_norm2(self.conv2(x))), (2, 2), (2, 1), "SAME")
            return self.linear(x.reshape(x.shape[0], -1))

    return _of_nnx(lambda: CNN(nnx.Rngs(0)), _x(3, 9, 8, 1))


@in_zoo
def _nnx_autoencoder():
    """1-D and transposed."""
    nnx = _nnx()

    def build():
        rngs = nnx.Rngs(0)
        return nnx.Sequential(
            nnx.Conv(2, 4, (3,), strides=2, padding="VALID", rngs=rngs),
            nnx.GroupNorm(4, num_groups=2, rngs=rngs),
            nnx.silu,
            nnx.Conv(4, 4, (3,), feature_group_count=2, kernel_dilation=2, rngs=rngs),
            nnx.silu,
            nnx.ConvTranspose(4, 2, (3,), strides=2, padding="VALID", rngs=rngs),
        )

    return _of_nnx(build, _x(3, 13, 2))
