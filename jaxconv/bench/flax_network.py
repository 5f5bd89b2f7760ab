"""A network in Flax that takes its convolution as an argument."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
from jax import Array


class Network(nn.Module):
    """A network of dense, depthwise and 1 × 1 convolutions."""

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
