"""Residual networks.

He, Zhang, Ren & Sun, "Deep residual learning for image recognition" (2015). Layers have the names
of torchvision's: layer2.0.conv1 is the first convolution of the first block of the second stage.
"""

from collections.abc import Callable

from jax import Array

from jaxconv.models.layers import Layers, described
from jaxconv.models.model import Model

Block = Callable[[Layers, str, Array, int, int], Array]
"""(layers, name, x, width, stride) -> the sum of the branch and what it is added to, before its
ReLU."""


def resnet(block: Block, depths: tuple[int, ...]) -> Model:
    """Return a network for large pictures, as torchvision's: a 7 × 7 stem, and max pooling."""

    def network(layers: Layers, x: Array) -> Array:
        x = layers.normalized("conv1", "bn1", x, 64, 7, stride=2)
        x = layers.observe("conv1", layers.relu(x))
        x = layers.max_pool(x, 3, stride=2, padding=1)
        return _stages(layers, x, block, depths, 64)

    return described(network)


def small_resnet(depth: int, width: int = 16) -> Model:
    """Return the network of section 4.2, for small pictures, with 6 · depth + 2 layers.

    The first of its three stages has `width` channels.

    The paper's shortcuts have no parameters; these are 1 × 1 convolutions where the shape changes.
    """

    def network(layers: Layers, x: Array) -> Array:
        x = layers.normalized("conv1", "bn1", x, width, 3)
        x = layers.observe("conv1", layers.relu(x))
        return _stages(layers, x, basic, (depth,) * 3, width)

    return described(network)


def _stages(layers: Layers, x: Array, block: Block, depths: tuple[int, ...], width: int) -> Array:
    """Apply stages of blocks, each of twice the width and half the size of the one before it."""
    for stage, depth in enumerate(depths):
        for number in range(depth):
            name = f"layer{stage + 1}.{number}"
            stride = 2 if stage and not number else 1
            x = layers.relu(block(layers, name, x, width * 2**stage, stride))
            layers.observe(name, x)
    return layers.logits("fc", layers.global_avg_pool(x))


def basic(layers: Layers, name: str, x: Array, width: int, stride: int) -> Array:
    """Apply two 3 × 3 convolutions."""
    y = layers.normalized(f"{name}.conv1", f"{name}.bn1", x, width, 3, stride=stride)
    y = layers.normalized(f"{name}.conv2", f"{name}.bn2", layers.relu(y), width, 3)
    return y + _shortcut(layers, name, x, width, stride)


def bottleneck(layers: Layers, name: str, x: Array, width: int, stride: int) -> Array:
    """Apply a 3 × 3 convolution between two of 1 × 1, the last of which has four times the width.

    The stride is that of the 3 × 3 convolution, as in torchvision.
    """
    y = layers.normalized(f"{name}.conv1", f"{name}.bn1", x, width, 1)
    y = layers.normalized(f"{name}.conv2", f"{name}.bn2", layers.relu(y), width, 3, stride=stride)
    y = layers.normalized(f"{name}.conv3", f"{name}.bn3", layers.relu(y), 4 * width, 1)
    return y + _shortcut(layers, name, x, 4 * width, stride)


def _shortcut(layers: Layers, name: str, x: Array, outputs: int, stride: int) -> Array:
    if (x.shape[-1], stride) == (outputs, 1):
        return x
    name = f"{name}.downsample"
    return layers.normalized(f"{name}.0", f"{name}.1", x, outputs, 1, stride=stride)


resnet20, resnet32 = small_resnet(3), small_resnet(5)
resnet18, resnet34 = resnet(basic, (2, 2, 2, 2)), resnet(basic, (3, 4, 6, 3))
resnet50 = resnet(bottleneck, (3, 4, 6, 3))
