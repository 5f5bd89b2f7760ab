"""MobileNetV2.

Sandler, Howard, Zhu, Zhmoginov & Chen, "MobileNetV2: inverted residuals and linear bottlenecks"
(2018).
"""

import itertools

from jax import Array

from jaxconv.models.layers import Layers, described
from jaxconv.models.model import Model

# (expansion, outputs, depth, stride) of each stage: table 2 of the paper.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(
    dropout: float = 0.2,
    stages: tuple[tuple[int, int, int, int], ...] = STAGES,
    *,
    stem: int = 32,
    head: int = 1280,
) -> Model:
    """Return the network with these stages between its first and its last convolution.

    `dropout` is the rate before its last layer.
    """

    def network(layers: Layers, x: Array) -> Array:
        x = layers.relu6(_normalized(layers, "stem", x, stem, 3, stride=2))
        layers.observe("stem.conv", x)
        numbers = itertools.count(1)
        for expansion, outputs, depth, stride in stages:
            for first in (True, *(False,) * (depth - 1)):
                name = f"block{next(numbers)}"
                x = _block(layers, name, x, expansion, outputs, stride if first else 1)
                layers.observe(name, x)
        x = layers.relu6(_normalized(layers, "head", x, head, 1))
        layers.observe("head.conv", x)
        return layers.logits("classifier", layers.dropout(layers.global_avg_pool(x), dropout))

    return described(network)


def _block(layers: Layers, name: str, x: Array, expansion: int, outputs: int, stride: int) -> Array:
    """Apply an inverted residual: wide, then a depthwise 3 × 3 convolution, then narrow."""
    y, wide = x, expansion * x.shape[-1]
    if expansion > 1:
        y = layers.relu6(_normalized(layers, f"{name}.expand", y, wide, 1))
    y = _normalized(layers, f"{name}.depthwise", y, wide, 3, stride=stride, groups=wide)
    y = _normalized(layers, f"{name}.project", layers.relu6(y), outputs, 1)
    return x + y if (x.shape[-1], 1) == (outputs, stride) else y


def _normalized(
    layers: Layers, name: str, x: Array, outputs: int, window: int, **options: int
) -> Array:
    return layers.normalized(f"{name}.conv", f"{name}.norm", x, outputs, window, **options)


mobilenetv2 = mobilenet_v2()
