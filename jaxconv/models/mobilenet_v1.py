"""MobileNet, with few blocks, for small pictures.

Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications"
(2017), with ReLU6.
"""

from jax import Array

from jaxconv.models.layers import Layers, described
from jaxconv.models.model import Model


def mobilenet_v1(stem: int, blocks: tuple[tuple[int, int], ...]) -> Model:
    """Return a network of depthwise 3 × 3 convolutions, each followed by a 1 × 1 convolution.

    `blocks` has the outputs and the stride of each, and `stem` channels come before them.
    """

    def network(layers: Layers, x: Array) -> Array:
        x = _normalized(layers, "stem", x, stem)
        for number, (outputs, stride) in enumerate(blocks, start=1):
            groups = x.shape[-1]
            x = _normalized(layers, f"depthwise{number}", x, groups, stride=stride, groups=groups)
            x = _normalized(layers, f"pointwise{number}", x, outputs, window=1)
        return layers.logits("dense", layers.global_avg_pool(x))

    return described(network)


def _normalized(
    layers: Layers,
    name: str,
    x: Array,
    outputs: int,
    *,
    window: int = 3,
    stride: int = 1,
    groups: int = 1,
) -> Array:
    """Apply a convolution, batch norm and ReLU6."""
    padding = window // 2
    x = layers.conv(
        f"{name}.conv", x, outputs, window, stride=stride, padding=padding, groups=groups
    )
    return layers.observe(f"{name}.conv", layers.relu6(layers.batch_norm(f"{name}.norm", x)))


small_mobilenet = mobilenet_v1(32, ((64, 1), (128, 2), (128, 1), (128, 1), (256, 2)))
