"""Networks of Haiku, as examples of that library write them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from transform.network import Network, drawn, in_zoo
from transform.network import random_x as _x

from jaxconv.check.leaves import is_float


def _haiku():
    return pytest.importorskip("haiku")


def _of_haiku(function, x, key=None, left=0):
    hk = _haiku()
    model = hk.transform_with_state(function)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    params = jax.tree.map(lambda leaf: leaf if is_float(leaf) else None, shapes)

    def apply(params, x, key):
        counters = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        both = jax.tree.map(
            lambda p, zero: zero if p is None else p, params, counters, is_leaf=lambda p: p is None
        )
        return model.apply(*both, key, x)

    return Network(apply, drawn(params), x, (key,), left)


@in_zoo
def _haiku_lenet():
    """LeNet, channels first, with both kinds of mean at the border."""
    hk = _haiku()

    def lenet(x):
        def conv(channels):
            return hk.Conv2D(channels, 5, padding=[(2, 2), (1, 2)], data_format="NCHW")

        x = jax.nn.tanh(conv(3)(x))
        x = hk.avg_pool(x, (2, 2), (2, 2), "SAME", channel_axis=1)
        x = jax.nn.tanh(conv(4)(x))
        x = hk.max_pool(x, (1, 1, 3, 2), (1, 1, 2, 1), "VALID", channel_axis=None)
        return hk.nets.MLP([6, 3])(hk.Flatten()(x))

    return _of_haiku(lenet, _x(3, 1, 11, 9))


@in_zoo
def _haiku_resnet():
    """Blocks of hk.nets.ResNet, training."""
    hk = _haiku()

    def resnet(x):
        bn = {"create_scale": True, "create_offset": True, "decay_rate": 0.9}
        x = hk.Conv2D(4, 3, stride=2, with_bias=False)(x)
        x = hk.max_pool(x, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
        for block, stride, bottleneck in (("BlockV1", 1, False), ("BlockV2", 2, True)):
            x = getattr(hk.nets.ResNet, block)(4, stride, True, bn, bottleneck)(x, True, False)
        return hk.Linear(3)(hk.dropout(hk.next_rng_key(), 0.2, x.mean((1, 2))))

    return _of_haiku(resnet, _x(3, 13, 11, 2), jax.random.PRNGKey(6))


@in_zoo
def _haiku_mobilenet():
    """hk.nets.MobileNetV1."""
    hk = _haiku()

    def mobilenet(x):
        return hk.nets.MobileNetV1(strides=(1, 2), channels=(4, 5), num_classes=3)(x, True)

    return _of_haiku(mobilenet, _x(3, 13, 11, 3))


@in_zoo
def _haiku_separable():
    """Depthwise and separable, several results per channel, in 1-D and 2-D."""
    hk = _haiku()

    def separable(x):
        x = hk.DepthwiseConv2D(2, (3, 2), stride=(1, 2), padding="VALID")(x)
        x = hk.SeparableDepthwiseConv2D(1, 3, stride=(2, 1))(jax.nn.relu(x))
        x = hk.Conv2D(4, (2, 3), feature_group_count=2, mask=np.arange(48).reshape(2, 3, 2, 4) % 3)(
            x
        )
        y = hk.DepthwiseConv1D(1, 3, with_bias=False, data_format="NCW")(x.mean(1).swapaxes(1, 2))
        return hk.Conv1D(3, 2, rate=2, padding=hk.pad.causal, data_format="NCW")(y)

    return _of_haiku(separable, _x(3, 7, 9, 2))


@in_zoo
def _haiku_transposed():
    """Transposed convolutions in 1-D to 3-D, two channels first."""
    hk = _haiku()

    def transposed(x):
        y = hk.Conv3DTranspose(2, (2, 1, 3), stride=(1, 2, 1), padding="VALID")(x)
        y = jax.nn.elu(hk.Conv2DTranspose(3, 3, 2, output_shape=(11, 12))(y.mean(1)))
        z = hk.Conv1DTranspose(2, 4, stride=3, data_format="NCW")(y.mean(1).swapaxes(1, 2))
        return y, hk.Conv1D(2, 3)(z)

    return _of_haiku(transposed, _x(3, 2, 3, 4, 2))
