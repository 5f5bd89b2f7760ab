"""Networks of other libraries, as their authors' examples write them, and small.

None of them knows of this library. Every builder returns a `Network` and imports its library when
it is called. Parameters are random numbers in the shapes that the library asks for, because it
takes longer to compile their initialization than the network.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from rules import normal

from jaxconv.check.leaves import is_float


@dataclasses.dataclass(frozen=True)
class Network:
    """A network as a pure function.

    Attributes:
        apply: computes any tree from params, x and what is in `more`.
        params: all that can be learned, and the state of batch norms.
        x: the input, or a tuple of inputs.
        more: keys and other arguments that have no gradient.
        left: how many convolutions and pools have no rule here, and stay.
    """

    apply: Callable[..., Any]
    params: Any
    x: Any
    more: tuple[Any, ...] = ()
    left: int = 0

    def loss(self, wrap=lambda apply: apply):
        """The sum of what is computed, bent and with random weights."""
        leaves = floats(jax.eval_shape(self.apply, self.params, self.x, *self.more))
        weights = [normal(500 + i, leaf.shape) for i, leaf in enumerate(leaves)]

        def loss(params, x):
            leaves = floats(wrap(self.apply)(params, x, *self.more))
            return sum(jnp.sum(c * jnp.sin(y)) for c, y in zip(weights, leaves, strict=True))

        return loss


def floats(tree):
    return [leaf for leaf in jax.tree.leaves(tree) if is_float(leaf)]


ZOO: dict[str, Callable[[], Network]] = {}


def _in_zoo(builder):
    ZOO[builder.__name__.strip("_")] = builder
    return builder


@functools.cache
def network(name):
    return ZOO[name]()


def drawn(shapes, seed=0):
    """Random numbers in place of floats; variances are positive, and kernels keep the scale."""
    random = np.random.default_rng(seed)

    def draw(path, leaf):
        if not is_float(leaf):
            return jnp.zeros(leaf.shape, leaf.dtype)
        if "var" in jax.tree_util.keystr(path):
            return jnp.asarray(random.uniform(0.5, 2, leaf.shape))
        fan = leaf.size / max(leaf.shape) if leaf.ndim > 1 else 4
        return jnp.asarray(random.standard_normal(leaf.shape) / np.sqrt(fan))

    return jax.tree.map_with_path(draw, shapes)


def _x(*shape, seed=100):
    return jnp.asarray(normal(seed, shape))


# Flax linen


def _of_linen(module, x, *, rngs=None, mutable=False, call=None, left=0):
    rngs = rngs or {}

    def apply(variables, x, *keys):
        named = dict(zip(rngs, keys, strict=True))
        return module.apply(variables, x, rngs=named, mutable=mutable, method=call)

    variables = jax.eval_shape(
        lambda x: module.init({"params": jax.random.key(0), **rngs}, x, method=call), x
    )
    return Network(apply, drawn(variables), x, tuple(rngs.values()), left)


def _linen():
    return pytest.importorskip("flax.linen")


@_in_zoo
def _linen_mnist():
    """examples/mnist of Flax."""
    nn = _linen()

    class CNN(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(nn.Conv(features=4, kernel_size=(3, 3))(x))
            x = nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
            x = nn.relu(nn.Conv(features=5, kernel_size=(3, 3))(x))
            x = nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
            x = nn.relu(nn.Dense(features=6)(x.reshape((x.shape[0], -1))))
            return nn.Dense(features=3)(x)

    return _of_linen(CNN(), _x(3, 9, 11, 1))


@_in_zoo
def _linen_resnet():
    """examples/imagenet of Flax, with both of its blocks, training."""
    nn = _linen()
    conv = functools.partial(nn.Conv, use_bias=False)
    norm = functools.partial(nn.BatchNorm, use_running_average=False, momentum=0.9, epsilon=1e-5)

    class Block(nn.Module):
        filters: int
        strides: tuple
        bottleneck: bool

        @nn.compact
        def __call__(self, x):
            wide = self.filters * (2 if self.bottleneck else 1)
            y = conv(self.filters, (1, 1) if self.bottleneck else (3, 3))(x)
            y = nn.relu(norm()(y))
            y = conv(wide, (3, 3), self.strides)(y)
            y = norm(scale_init=nn.initializers.zeros_init())(y)
            if x.shape != y.shape:
                x = norm(name="norm_proj")(conv(wide, (1, 1), self.strides, name="conv_proj")(x))
            return nn.relu(x + y)

    class ResNet(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = conv(3, (7, 7), (2, 2), padding=[(3, 3), (3, 3)], name="conv_init")(x)
            x = nn.relu(norm(name="bn_init")(x))
            x = nn.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
            x = Block(3, (1, 1), bottleneck=False)(x)
            x = Block(2, (2, 2), bottleneck=True)(x)
            return nn.Dense(5)(jnp.mean(x, axis=(1, 2)))

    return _of_linen(ResNet(), _x(3, 17, 19, 3), mutable=["batch_stats"])


@_in_zoo
def _linen_unet():
    """Contracting and expanding path, with crops as the sizes are odd."""
    nn = _linen()

    class UNet(nn.Module):
        @nn.compact
        def __call__(self, x):
            def twice(features, x):
                x = nn.swish(nn.GroupNorm(num_groups=2)(nn.Conv(features, (3, 3))(x)))
                return nn.swish(nn.Conv(features, (3, 3), kernel_dilation=(2, 1))(x))

            skips = []
            for features in (2, 4):
                x = twice(features, x)
                skips.append(x)
                x = nn.max_pool(x, (2, 2), strides=(2, 2), padding="SAME")
            x = twice(4, x)
            for skip in reversed(skips):
                x = nn.ConvTranspose(skip.shape[-1], (2, 2), strides=(2, 2))(x)
                x = jnp.concatenate([skip, x[:, : skip.shape[1], : skip.shape[2]]], axis=-1)
            return nn.Conv(1, (1, 1))(x)

    return _of_linen(UNet(), _x(3, 7, 9, 1))


@_in_zoo
def _linen_vae():
    """A convolutional VAE: the noise of its code comes from a key."""
    nn = _linen()

    class VAE(nn.Module):
        @nn.compact
        def __call__(self, x):
            h = nn.gelu(nn.Conv(3, (3, 3), strides=2)(x))
            h = nn.gelu(nn.Conv(4, (3, 3), strides=(2, 1), padding="VALID")(h))
            code = nn.Dense(4)(h.reshape(len(h), -1))
            mean, logvar = jnp.split(code, 2, axis=-1)
            noise = jax.random.normal(self.make_rng("noise"), mean.shape, mean.dtype)
            z = mean + noise * jnp.exp(0.5 * logvar)
            y = nn.gelu(nn.Dense(12)(z).reshape(-1, 2, 3, 2))
            y = nn.gelu(nn.ConvTranspose(3, (3, 3), strides=(2, 2), padding="VALID")(y))
            y = nn.ConvTranspose(1, (4, 3), strides=(2, 1), transpose_kernel=True)(y)
            return nn.sigmoid(y), mean, logvar

    return _of_linen(VAE(), _x(3, 9, 7, 1), rngs={"noise": jax.random.key(3)})


@_in_zoo
def _linen_pixelcnn():
    """Masked convolutions: a pixel sees only those above and to the left of it."""
    nn = _linen()

    def mask(size, channels, features, itself):
        m = np.ones((size, size, channels, features))
        m[size // 2, size // 2 + itself :] = 0
        m[size // 2 + 1 :] = 0
        return m

    class PixelCNN(nn.Module):
        @nn.compact
        def __call__(self, x):
            c = x.shape[-1]
            h = nn.Conv(4, (5, 5), mask=mask(5, c, 4, False))(x)
            for _ in range(2):
                g = nn.Conv(4, (1, 1))(nn.relu(h))
                g = nn.Conv(8, (3, 3), mask=mask(3, 4, 8, True), kernel_dilation=2)(nn.relu(g))
                a, b = jnp.split(g, 2, axis=-1)
                h = h + jnp.tanh(a) * nn.sigmoid(b)
            return nn.Conv(2, (1, 1))(nn.elu(h))

    return _of_linen(PixelCNN(), _x(3, 7, 6, 1))


@_in_zoo
def _linen_wavenet():
    """Gated, causal and dilated convolutions with skip connections."""
    nn = _linen()

    class WaveNet(nn.Module):
        @nn.compact
        def __call__(self, x):
            h, skips = nn.Conv(4, (2,), padding="CAUSAL")(x), 0.0
            for dilation in (1, 2, 4):
                g = nn.Conv(6, (2,), kernel_dilation=dilation, padding="CAUSAL")(h)
                a, b = jnp.split(g, 2, axis=-1)
                g = nn.tanh(a) * nn.sigmoid(b)
                skips = skips + nn.Conv(3, (1,))(g)
                h = h + nn.Conv(4, (1,))(g)
            return nn.Conv(5, (1,))(nn.relu(nn.Conv(3, (1,))(nn.relu(skips))))

    return _of_linen(WaveNet(), _x(3, 13, 2))


@_in_zoo
def _linen_conformer():
    """The convolution module of a Conformer, with dropout from a key and a batch norm."""
    nn = _linen()

    class ConvModule(nn.Module):
        @nn.compact
        def __call__(self, x):
            h = nn.Conv(8, (1,))(nn.LayerNorm()(x))
            h = nn.glu(h)
            h = nn.Conv(4, (5,), feature_group_count=4, use_bias=False)(h)
            h = nn.swish(nn.BatchNorm(use_running_average=False)(h))
            h = nn.Dropout(0.3, deterministic=False)(nn.Conv(4, (1,))(h))
            return x + h

    rngs = {"dropout": jax.random.key(4)}
    return _of_linen(ConvModule(), _x(3, 11, 4), rngs=rngs, mutable=["batch_stats"])


@_in_zoo
def _linen_mobilenet():
    """Inverted residuals with depthwise convolutions, and squeeze and excitation."""
    nn = _linen()

    class Inverted(nn.Module):
        features: int
        strides: int

        @nn.compact
        def __call__(self, x):
            wide = 2 * x.shape[-1]
            h = nn.relu6(nn.Conv(wide, (1, 1), use_bias=False)(x))
            h = nn.Conv(wide, (3, 3), self.strides, feature_group_count=wide)(h)
            h = nn.hard_swish(nn.BatchNorm(use_running_average=True)(h))
            gate = nn.avg_pool(h, h.shape[1:3])
            h = h * nn.hard_sigmoid(nn.Conv(wide, (1, 1))(nn.silu(nn.Conv(2, (1, 1))(gate))))
            h = nn.Conv(self.features, (1, 1), use_bias=False)(h)
            return x + h if x.shape == h.shape else h

    return _of_linen(nn.Sequential([Inverted(3, 1), Inverted(4, 2)]), _x(3, 7, 9, 3))


@_in_zoo
def _linen_video():
    """3-D convolutions and pools, with two batch axes in front at first."""
    nn = _linen()

    class Video(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(nn.Conv(3, (2, 3, 3), strides=(1, 2, 1))(x))
            x = nn.max_pool(x, (2, 2, 2), strides=(1, 2, 1), padding="SAME")
            x = nn.relu(nn.Conv(4, (3, 1, 2), padding=((0, 1), (0, 0), (1, 0)))(x))[:, 0]
            x = nn.avg_pool(x, (2, 2, 3), padding=((1, 0), (0, 1), (1, 1)))
            return nn.Dense(2)(x.mean(axis=(1, 2, 3)))

    return _of_linen(Video(), _x(3, 1, 4, 7, 5, 2))


@_in_zoo
def _linen_inception():
    """Branches whose results are joined, and pools with every option."""
    nn = _linen()

    class Inception(nn.Module):
        @nn.compact
        def __call__(self, x):
            a = nn.Conv(2, (1, 1))(x)
            b = nn.Conv(3, (1, 5))(nn.relu(nn.Conv(2, (5, 1))(x)))
            c = nn.avg_pool(x, (3, 3), (1, 1), "SAME", count_include_pad=False)
            d = nn.max_pool(x, (3, 2), (1, 1), ((1, 1), (1, 0)))
            x = nn.relu(jnp.concatenate([a, b, c, nn.Conv(2, (1, 1))(d)], axis=-1))
            e = nn.avg_pool(x, (3, 3), (2, 2), "SAME", count_include_pad=True)
            f = -nn.max_pool(-x, (3, 3), (2, 2), "SAME")
            return nn.pooling.min_pool(e, (2, 1), (1, 1)) * f[:, 1:], e

    return _of_linen(Inception(), _x(3, 7, 8, 3))


@_in_zoo
def _linen_convlstm():
    """A convolutional LSTM in a scan over time."""
    nn = _linen()
    return _of_linen(nn.RNN(nn.ConvLSTMCell(3, (3, 3), param_dtype=jnp.float64)), _x(3, 4, 5, 6, 2))


@_in_zoo
def _linen_scan_of_remat():
    """Blocks that are computed again in the backward pass, stacked by a scan."""
    nn = _linen()

    class Block(nn.Module):
        @nn.compact
        def __call__(self, x, _):
            h = nn.Conv(3, (3, 3), feature_group_count=3)(nn.LayerNorm()(x))
            return x + nn.Conv(3, (1, 1))(nn.gelu(h)), None

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            many = nn.scan(
                nn.remat(Block, prevent_cse=False),
                variable_axes={"params": 0},
                split_rngs={"params": True},
                length=3,
            )
            x, _ = many()(x, None)
            return nn.max_pool(x, (2, 3), (2, 1))

    return _of_linen(Network(), _x(3, 5, 7, 3))


@_in_zoo
def _linen_local_and_circular():
    """Kernels that differ from place to place, periodic borders, weight standardization."""
    nn = _linen()

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(nn.Conv(3, (3, 3), padding="CIRCULAR", kernel_dilation=(1, 2))(x))
            x = nn.relu(nn.ConvLocal(2, (3, 2), strides=(2, 1), padding="VALID")(x))
            x = nn.WeightNorm(nn.Conv(4, (2, 2), padding="REFLECT"))(x)
            return nn.ConvTranspose(2, (3, 3), (2, 1), padding="CIRCULAR")(x)

    return _of_linen(Network(), _x(3, 7, 8, 2))


# Flax nnx


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


@_in_zoo
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


@_in_zoo
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


# Equinox


def _equinox():
    return pytest.importorskip("equinox")


def _of_equinox(build, x, run=None, more=()):
    eqx = _equinox()
    model = eqx.filter_eval_shape(build, jax.random.key(0))
    floating = jax.tree.map(is_float_struct, model)
    params, static = eqx.partition(model, floating)

    def apply(params, x, *more):
        model = eqx.combine(params, static)
        return run(model, x, *more) if run else jax.vmap(model)(x)

    return Network(apply, drawn(params), x, more)


def is_float_struct(leaf):
    return isinstance(leaf, jax.ShapeDtypeStruct) and is_float(leaf)


@_in_zoo
def _equinox_mnist():
    """The MNIST example of Equinox: a network for one image, under vmap."""
    eqx = _equinox()

    def build(key):
        keys = jax.random.split(key, 4)
        return eqx.nn.Sequential(
            [
                eqx.nn.Conv2d(1, 3, kernel_size=4, key=keys[0]),
                eqx.nn.MaxPool2d(kernel_size=2),
                eqx.nn.Lambda(jax.nn.relu),
                eqx.nn.Conv2d(3, 4, 2, stride=(2, 1), padding=1, groups=1, key=keys[1]),
                eqx.nn.AvgPool2d(kernel_size=(2, 3), stride=2, padding=1),
                eqx.nn.Lambda(jnp.ravel),
                eqx.nn.Linear(32, 5, key=keys[2]),
                eqx.nn.Lambda(jax.nn.log_softmax),
            ]
        )

    return _of_equinox(build, _x(3, 1, 9, 11))


@_in_zoo
def _equinox_stateful():
    """Batch norm with a state over the axis of the vmap, and dropout with a key per example."""
    eqx = _equinox()

    class Model(eqx.Module):
        conv: Any
        norm: Any
        dropout: Any
        spectral: Any

        def __init__(self, key):
            keys = jax.random.split(key)
            self.conv = eqx.nn.Conv2d(2, 4, (3, 2), padding="SAME", groups=2, key=keys[0])
            self.norm = eqx.nn.BatchNorm(4, axis_name="batch", mode="batch")
            self.dropout = eqx.nn.Dropout(0.25)
            self.spectral = eqx.nn.Conv2d(4, 3, 2, padding_mode="REFLECT", padding=1, key=keys[1])

        def __call__(self, x, state, key):
            x, state = self.norm(self.conv(x), state)
            x = self.dropout(jax.nn.gelu(x), key=key)
            x = eqx.nn.AdaptiveMaxPool2d((3, 2))(self.spectral(x))
            return x, state

    model, state = eqx.nn.make_with_state(Model)(jax.random.key(0))
    params, static = eqx.partition((model, state), eqx.is_inexact_array)

    def apply(params, x, key):
        model, state = eqx.combine(params, static)
        keys = jax.random.split(key, len(x))
        y, state = jax.vmap(model, in_axes=(0, None, 0), out_axes=(0, None), axis_name="batch")(
            x, state, keys
        )
        return y, eqx.filter(state, eqx.is_inexact_array)

    return Network(apply, drawn(params), _x(3, 2, 7, 6), (jax.random.key(5),))


@_in_zoo
def _equinox_sound():
    """1-D: grouped, dilated, circular and transposed; pools that keep the last window."""
    eqx = _equinox()

    def build(key):
        keys = jax.random.split(key, 3)
        return eqx.nn.Sequential(
            [
                eqx.nn.Conv1d(2, 4, 3, dilation=2, padding="SAME", groups=2, key=keys[0]),
                eqx.nn.Lambda(jax.nn.silu),
                eqx.nn.AvgPool1d(3, 2, padding=1, use_ceil=True),
                eqx.nn.GroupNorm(2, 4),
                eqx.nn.Conv1d(4, 3, 3, padding=1, padding_mode="CIRCULAR", key=keys[1]),
                eqx.nn.MaxPool1d(2, 1),
                eqx.nn.ConvTranspose1d(
                    3, 2, 3, stride=2, output_padding=1, padding=1, dilation=2, key=keys[2]
                ),
            ]
        )

    return _of_equinox(build, _x(3, 2, 13))


@_in_zoo
def _equinox_volume():
    """3-D."""
    eqx = _equinox()

    def build(key):
        keys = jax.random.split(key, 2)
        return eqx.nn.Sequential(
            [
                eqx.nn.Conv3d(2, 3, (2, 3, 2), stride=(1, 2, 1), padding=1, key=keys[0]),
                eqx.nn.Lambda(jax.nn.celu),
                eqx.nn.MaxPool3d(2, stride=(2, 1, 1)),
                eqx.nn.ConvTranspose3d(3, 2, 2, stride=(1, 2, 1), key=keys[1]),
                eqx.nn.AvgPool3d((2, 2, 1), padding=((1, 0), (0, 0), (0, 0))),
            ]
        )

    return _of_equinox(build, _x(3, 2, 4, 5, 3))


# Haiku


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


@_in_zoo
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


@_in_zoo
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


@_in_zoo
def _haiku_mobilenet():
    """hk.nets.MobileNetV1."""
    hk = _haiku()

    def mobilenet(x):
        return hk.nets.MobileNetV1(strides=(1, 2), channels=(4, 5), num_classes=3)(x, True)

    return _of_haiku(mobilenet, _x(3, 13, 11, 3))


@_in_zoo
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


@_in_zoo
def _haiku_transposed():
    """Transposed convolutions in 1-D to 3-D, two channels first."""
    hk = _haiku()

    def transposed(x):
        y = hk.Conv3DTranspose(2, (2, 1, 3), stride=(1, 2, 1), padding="VALID")(x)
        y = jax.nn.elu(hk.Conv2DTranspose(3, 3, 2, output_shape=(11, 12))(y.mean(1)))
        z = hk.Conv1DTranspose(2, 4, stride=3, data_format="NCW")(y.mean(1).swapaxes(1, 2))
        return y, hk.Conv1D(2, 3)(z)

    return _of_haiku(transposed, _x(3, 2, 3, 4, 2))


# Plain JAX


@_in_zoo
def _stax_vgg():
    """jax.example_libraries.stax."""
    from jax.example_libraries import stax

    init, apply = stax.serial(
        stax.Conv(3, (3, 3), padding="SAME"),
        stax.Relu,
        stax.Conv(3, (3, 3), padding="SAME"),
        stax.Relu,
        stax.MaxPool((2, 2), strides=(2, 2)),
        stax.Conv(4, (3, 2), strides=(1, 2), padding="VALID"),
        stax.Softplus,
        stax.AvgPool((2, 2), padding="SAME"),
        stax.Flatten,
        stax.Dense(3),
        stax.LogSoftmax,
    )
    return _of_stax(init, apply, _x(3, 9, 11, 2))


@_in_zoo
def _stax_resnet():
    """examples/resnet50.py of JAX: HWCN images, and sums of branches."""
    from jax.example_libraries import stax

    def block(out, strides=(2, 2)):
        main = stax.serial(
            stax.Conv(2, (1, 1), strides),
            stax.BatchNorm(),
            stax.Relu,
            stax.Conv(out, (3, 3), padding="SAME"),
            stax.BatchNorm(),
        )
        shortcut = stax.serial(stax.Conv(out, (1, 1), strides), stax.BatchNorm())
        return stax.serial(stax.FanOut(2), stax.parallel(main, shortcut), stax.FanInSum, stax.Relu)

    init, apply = stax.serial(
        stax.GeneralConv(("HWCN", "OIHW", "NHWC"), 3, (5, 5), (2, 2), "SAME"),
        stax.MaxPool((3, 3), strides=(2, 2)),
        block(4, (1, 2)),
        stax.AvgPool((2, 1)),
        stax.GeneralConvTranspose(("NHWC", "HWIO", "NHWC"), 2, (3, 3), (2, 1), "SAME"),
    )
    return _of_stax(init, apply, _x(13, 11, 2, 3))


def _of_stax(init, apply, x):
    params = jax.eval_shape(lambda: init(jax.random.key(0), x.shape)[1])
    return Network(apply, drawn(params), x)


@_in_zoo
def _plain_squeezenet():
    """Fire modules by lax.conv, channels first, in a list of dicts."""

    def fire(p, x):
        s = jax.nn.relu(lax.conv(x, p["squeeze"], (1, 1), "VALID"))
        a = lax.conv(s, p["one"], (1, 1), "SAME")
        b = lax.conv_with_general_padding(s, p["three"], (1, 1), ((1, 1), (1, 1)), None, None)
        return jax.nn.relu(jnp.concatenate([a, b], axis=1))

    def apply(params, x):
        x = fire(params[0], x)
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 3, 3), (1, 1, 2, 2), "VALID")
        x = fire(params[1], x)
        window = (1, 1, *x.shape[2:])
        return lax.reduce_window(x, 0.0, lax.add, window, window, "VALID")

    shapes = [{"squeeze": (3, c, 1, 1), "one": (3, 3, 1, 1), "three": (2, 3, 3, 3)} for c in (3, 5)]
    params = jax.tree.map(
        lambda s: jax.ShapeDtypeStruct(s, np.float64), shapes, is_leaf=lambda s: type(s) is tuple
    )
    return Network(apply, drawn(params, seed=1), _x(3, 3, 9, 8))


@_in_zoo
def _plain_signal():
    """Filters by jax.scipy.signal and jnp.convolve, under vmap and jit."""
    signal = jax.scipy.signal

    @functools.partial(jax.vmap, in_axes=(None, 0))
    def apply(params, x):
        blurred = jnp.stack([signal.convolve(c, params["blur"], mode="same") for c in x])
        edges = jnp.tanh(signal.correlate2d(blurred[0], params["edge"], mode="valid"))
        rows = jax.vmap(lambda row: jnp.convolve(row, params["row"], "full"))(edges)
        whole = signal.convolve(rows, edges[:2], mode="full")
        return whole, jnp.correlate(rows[0], params["row"])

    params = {"blur": _x(3, 3, seed=1), "edge": _x(2, 3, seed=2), "row": _x(4, seed=3)}
    return Network(apply, params, _x(3, 2, 7, 6))


@_in_zoo
def _plain_dcgan():
    """A generator by lax.conv_transpose and a critic that strides."""

    def apply(params, x):
        a, b, c, d = params
        y = jax.nn.leaky_relu(x @ a).reshape(-1, 3, 2, 3)
        y = jax.nn.relu(lax.conv_transpose(y, b, (2, 2), "SAME"))
        y = lax.conv_transpose(y, c, (2, 1), "VALID", rhs_dilation=(1, 2), transpose_kernel=True)
        h = lax.conv_general_dilated(
            y, d, (2, 3), ((2, 1), (0, 2)), dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return y, jax.nn.leaky_relu(h)

    params = [_x(4, 18, seed=1), _x(3, 3, 3, 2, seed=2) / 3, _x(3, 2, 1, 2, seed=3) / 2]
    return Network(apply, [*params, _x(4, 4, 1, 2, seed=4) / 4], _x(3, 4))


@_in_zoo
def _plain_patches():
    """Convolutions as products of patches, and kernels of every place."""

    def apply(params, x):
        patches = lax.conv_general_dilated_patches(
            x, (3, 2), (2, 1), ((1, 1), (0, 1)), rhs_dilation=(1, 2)
        )
        y = jnp.einsum("nphw,po->nohw", patches, params["patch"])
        return lax.conv_general_dilated_local(jnp.tanh(y), params["local"], (1, 2), "VALID", (2, 2))

    params = {"patch": _x(12, 3, seed=1) / 3, "local": _x(2, 12, 3, 3, seed=2) / 3}
    return Network(apply, params, _x(3, 2, 7, 7))


@_in_zoo
def _plain_pools():
    """Windows over other axes than a network's, and images without batch or channels."""

    def pool(x, init, reducer, window, strides, padding="VALID"):
        return lax.reduce_window(x, init, reducer, window, strides, padding)

    def apply(params, x):
        x = x * params
        a = pool(x, -jnp.inf, lax.max, (2, 1, 3, 1), (1, 1, 2, 1), "SAME")
        b = pool(x, jnp.inf, lax.min, (1, 3, 2, 2), (1, 1, 2, 1), ((0, 0), (1, 1), (0, 1), (0, 0)))
        c = pool(x, 0.0, lax.add, (1, 2, 1, 3), (1, 2, 1, 1), "SAME")
        d = pool(x[0, 0], -jnp.inf, lax.max, (2, 3), (2, 2))
        e = pool(x[0, 0, 0], 0.0, lax.add, (3,), (1,), ((2, 0),))
        f = pool(x**2, 0.0, lax.add, (1, 1, 1, 4), (1, 1, 1, 1)) ** 0.5
        return (
            a,
            b,
            c,
            d,
            e,
            f,
            pool(x[..., None, None], 0.0, lax.add, (2, 2, 1, 2, 1, 1), (1,) * 6),
        )

    return Network(apply, _x(6, seed=1).reshape(1, 1, 1, 6), _x(3, 4, 5, 6), left=1)


@_in_zoo
def _plain_layouts():
    """Odd layouts, groups of the batch, all dilations, and padding that crops."""

    def conv(x, w, strides, padding, layouts, **options):
        return lax.conv_general_dilated(
            x, w, strides, padding, dimension_numbers=layouts, **options
        )

    def apply(params, x):
        a, b, c, d = params
        x = conv(x, a, (1, 2), "SAME", ("CHWN", "IHWO", "HWCN"), rhs_dilation=(2, 1))
        x = jnp.tanh(x)
        y = conv(x, b, (2, 1), ((-1, 2), (1, -1)), ("HWCN", "WOIH", "NWHC"), lhs_dilation=(1, 2))
        z = conv(x[..., :2], c, (1, 1), "SAME", ("HWCN", "HWIO", "NCHW"), batch_group_count=2)
        options = {"lhs_dilation": (3, 2), "rhs_dilation": (2, 2), "feature_group_count": 2}
        return y, conv(z, d, (2, 2), ((1, 0), (4, -2)), ("NCHW", "OIHW", "NHWC"), **options)

    shapes = (2, 3, 3, 4), (3, 3, 4, 2), (2, 3, 4, 4), (4, 2, 2, 2)
    params = [_x(*s, seed=i) / 3 for i, s in enumerate(shapes)]
    return Network(apply, params, _x(2, 7, 6, 3))


@_in_zoo
def _plain_ssim():
    """The SSIM of two images: depthwise Gaussian windows, quotients of their moments."""

    def blur(kernel, x):
        c = x.shape[-1]
        for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
            k = jnp.tile(kernel.reshape(shape), (1, 1, 1, c))
            x = lax.conv_general_dilated(
                x, k, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=c,
            )  # fmt: skip
        return x

    def apply(kernel, images):
        kernel = jax.nn.softmax(kernel)
        a, b = images
        ma, mb = blur(kernel, a), blur(kernel, b)
        va, vb = blur(kernel, a * a) - ma**2, blur(kernel, b * b) - mb**2
        vab = blur(kernel, a * b) - ma * mb
        return (2 * ma * mb + 0.1) * (2 * vab + 0.3) / ((ma**2 + mb**2 + 0.1) * (va + vb + 0.3))

    return Network(apply, _x(5, seed=1), (_x(3, 9, 8, 2, seed=2), _x(3, 9, 8, 2, seed=3)))


@_in_zoo
def _plain_automaton():
    """A neural cellular automaton: perception, update and a mask by a pool, in a loop."""

    def apply(params, x):
        perceive, update = params

        def step(i, x):
            alive = lax.reduce_window(
                x[..., :1], -jnp.inf, lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME"
            )
            y = lax.conv_general_dilated(
                x, perceive, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=3,
            )  # fmt: skip
            return x + jax.nn.sigmoid(alive) * jnp.tanh(y @ update) / (1 + i)

        return lax.fori_loop(0, 3, step, x)

    return Network(apply, (_x(3, 3, 1, 6, seed=1) / 3, _x(6, 3, seed=2) / 2), _x(3, 5, 6, 3))


@_in_zoo
def _plain_dynamic_filters():
    """Kernels that a network computes for each example, so convolutions under vmap."""

    def apply(params, x):
        made, pooled = params
        kernels = jnp.tanh(x.mean((1, 2)) @ made).reshape(-1, 3, 2, 2, 3)

        @jax.vmap
        def one(x, kernel):
            y = lax.conv_general_dilated(
                x[None], kernel, (2, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NCHW")
            )
            return lax.reduce_window(y, -jnp.inf, lax.max, (1, 1, 2, 3), (1, 1, 1, 2), "VALID")[0]

        return one(x, kernels) @ pooled

    return Network(apply, (_x(2, 36, seed=1), _x(2, 3, seed=2)), _x(3, 7, 6, 2))
