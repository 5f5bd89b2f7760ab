"""MobileNet, with few blocks, for small pictures.

Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications"
(2017), with ReLU6.
"""

from jax import Array

from jaxconv.models.layers import Layers, described
from jaxconv.models.model import Model


def mobilenet_v1(stem: int, blocks: tuple[tuple[int, int], ...]) -> Model:
    """Return a network of depthwise 3 × 3 convolutions, each followed by a 1 × 1 convolution.

    Args:
        stem: the output channels of the first convolution.
        blocks: for each pair of convolutions, its output channels and its stride.
    """

    def network(layers: Layers, x: Array) -> Array:
        x = _activated(layers, "stem", x, stem, 3)
        for number, (outputs, stride) in enumerate(blocks, start=1):
            name, inputs = f"depthwise{number}", x.shape[-1]
            x = _activated(layers, name, x, inputs, 3, stride=stride, groups=inputs)
            x = _activated(layers, f"pointwise{number}", x, outputs, 1)
        return layers.logits("dense", layers.global_avg_pool(x))

    return described(network)


def _activated(
    layers: Layers, name: str, x: Array, outputs: int, window: int, **options: int
) -> Array:
    """Apply a convolution, batch norm and ReLU6."""
    x = layers.normalized(f"{name}.conv", f"{name}.norm", x, outputs, window, **options)
    return layers.observe(f"{name}.conv", layers.relu6(x))


small_mobilenet = mobilenet_v1(32, ((64, 1), (128, 2), (128, 1), (128, 1), (256, 2)))
