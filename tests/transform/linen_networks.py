"""Networks of Flax linen, as examples of that library write them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from transform.network import Network, drawn, in_zoo
from transform.network import random_x as _x


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


@in_zoo
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


@in_zoo
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


@in_zoo
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


@in_zoo
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


@in_zoo
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


@in_zoo
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


@in_zoo
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


@in_zoo
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


@in_zoo
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


@in_zoo
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


@in_zoo
def _linen_convlstm():
    """A convolutional LSTM in a scan over time."""
    nn = _linen()
    return _of_linen(nn.RNN(nn.ConvLSTMCell(3, (3, 3), param_dtype=jnp.float64)), _x(3, 4, 5, 6, 2))


@in_zoo
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


@in_zoo
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
