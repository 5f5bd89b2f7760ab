"""ConvNeXt.

Liu, Mao, Wu, Feichtenhofer, Darrell & Xie, "A ConvNet for the 2020s" (2022).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxconv.models.layers import Layers, described
from jaxconv.models.model import Model

LAYER_SCALE = 1e-6
"""What the branch of a block is multiplied with in the beginning."""


def convnext(depths: tuple[int, ...], widths: tuple[int, ...], drop_path: float = 0.1) -> Model:
    """Return the network whose stages have these numbers of blocks, and of channels.

    `drop_path` is the rate at which the last block's branch is left out; it rises linearly from 0
    at the first one.
    """

    def network(layers: Layers, x: Array) -> Array:
        x = layers.conv("stem.conv", x, widths[0], 4, stride=4, padding=0, **BIASED)
        x = layers.layer_norm("stem.norm", x)
        rates = iter([drop_path * i / max(sum(depths) - 1, 1) for i in range(sum(depths))])
        for stage, (depth, width) in enumerate(zip(depths, widths, strict=True), start=1):
            if stage > 1:
                x = layers.layer_norm(f"stage{stage}.downsample.norm", x)
                name = f"stage{stage}.downsample.conv"
                x = layers.conv(name, x, width, 2, stride=2, padding=0, **BIASED)
            for number in range(depth):
                name = f"stage{stage}.{number}"
                x = layers.observe(name, x + _branch(layers, name, x, next(rates)))
        x = layers.layer_norm("head.norm", layers.global_avg_pool(x))
        return layers.logits("head.dense", x, initial=_truncated)

    return described(network)


def _branch(layers: Layers, name: str, x: Array, rate: float) -> Array:
    """Return a depthwise 7 × 7 convolution, and two dense layers of each place's channels."""
    width = x.shape[-1]
    y = layers.conv(f"{name}.depthwise", x, width, 7, padding=3, groups=width, **BIASED)
    y = layers.layer_norm(f"{name}.norm", y)
    y = layers.dense(f"{name}.dense1", y, 4 * width, initial=_truncated)
    y = layers.gelu(y, approximate=False)
    y = layers.dense(f"{name}.dense2", y, width, initial=_truncated)
    return layers.drop_path(layers.scale(f"{name}.layer_scale", y, LAYER_SCALE), rate)


def _truncated(key: Array, shape: tuple[int, ...]) -> Array:
    """Return normal numbers of deviation 0.02, cut off at two deviations."""
    return 0.02 * jax.random.truncated_normal(key, -2, 2, shape, jnp.float32)


BIASED: dict[str, Any] = {"bias": True, "initial": _truncated}
"""What is the same in all convolutions."""

convnext_tiny = convnext((3, 3, 9, 3), (96, 192, 384, 768))
