"""Networks as users of Flax write them."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array


class Network(nn.Module):
    """A network of dense, depthwise and 1 × 1 convolutions, which takes its convolution."""

    conv_general_dilated: Any = jax.lax.conv_general_dilated
    classes: int = 10

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Return the logits of images."""
        conv = partial(nn.Conv, conv_general_dilated=self.conv_general_dilated)
        x = nn.relu(conv(32, (3, 3))(x))
        x = nn.relu(conv(32, (3, 3), feature_group_count=32)(x))
        x = nn.relu(conv(64, (1, 1))(x))
        x = nn.relu(conv(64, (3, 3), strides=2, feature_group_count=64)(x))
        x = nn.relu(conv(128, (3, 3))(x))
        return nn.Dense(self.classes)(x.mean((1, 2)))


class Residual(nn.Module):
    """A residual network like ResNet-18: four stages of two basic blocks, with batch norm.

    He, Zhang, Ren & Sun, "Deep residual learning for image recognition" (2015), table 1.
    """

    width: int = 32
    classes: int = 10

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Return the logits of images."""
        x = nn.relu(_normalized(x, self.width, (7, 7), 2))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        for stage in range(4):
            channels = self.width * 2**stage
            for stride in (1 if stage == 0 else 2, 1):
                y = nn.relu(_normalized(x, channels, (3, 3), stride))
                y = _normalized(y, channels, (3, 3), 1)
                if y.shape != x.shape:
                    x = _normalized(x, channels, (1, 1), stride)
                x = nn.relu(x + y)
        return nn.Dense(self.classes)(x.mean((1, 2)))


def _normalized(x: Array, channels: int, window: tuple[int, int], stride: int) -> Array:
    x = nn.Conv(channels, window, stride, use_bias=False)(x)
    return nn.BatchNorm(use_running_average=False)(x)


class UNet(nn.Module):
    """A network like U-Net: down by max pools, up by transposed convolutions, joined on each level.

    Ronneberger, Fischer & Brox, "U-Net: convolutional networks for biomedical image segmentation"
    (2015), with padding.
    """

    width: int = 16
    levels: int = 3
    classes: int = 2

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Return the logits of each pixel."""
        passed = []
        for level in range(self.levels):
            x = _twice(x, self.width * 2**level)
            passed.append(x)
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = _twice(x, self.width * 2**self.levels)
        for level in reversed(range(self.levels)):
            x = nn.ConvTranspose(self.width * 2**level, (2, 2), (2, 2))(x)
            x = _twice(jnp.concatenate([passed[level], x], -1), self.width * 2**level)
        return nn.Conv(self.classes, (1, 1))(x)


def _twice(x: Array, channels: int) -> Array:
    for _ in range(2):
        x = nn.relu(nn.Conv(channels, (3, 3))(x))
    return x


class Conformer(nn.Module):
    """The convolution modules of a Conformer, one after the other, over a sequence.

    Gulati et al., "Conformer: convolution-augmented transformer for speech recognition" (2020),
    section 2.2.
    """

    layers: int = 4
    window: int = 31
    classes: int = 10

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Return the logits of each step."""
        channels = x.shape[-1]
        for _ in range(self.layers):
            y = nn.glu(nn.Conv(2 * channels, (1,))(nn.LayerNorm()(x)))
            y = nn.Conv(channels, (self.window,), feature_group_count=channels)(y)
            y = nn.silu(nn.BatchNorm(use_running_average=False)(y))
            x = x + nn.Conv(channels, (1,))(y)
        return nn.Dense(self.classes)(x)
