"""A network of 3 × 3 convolutions alone, for small pictures.

Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition" (2015),
scaled down, with batch norm.
"""

from jax import Array

from jaxconv.models.layers import Layers, described
from jaxconv.models.model import Model


def vgg(widths: tuple[tuple[int, ...], ...], dropout: float = 0.5) -> Model:
    """Return the network whose rounds have these widths; every round ends in max pooling.

    The pooling halves the size while there is more than one place, so that pictures may be small.
    `dropout` is the rate before the last layer.
    """

    def network(layers: Layers, x: Array) -> Array:
        number = 0
        for widths_of_round in widths:
            for width in widths_of_round:
                number += 1
                name = f"conv{number}"
                x = layers.normalized(name, f"norm{number}", x, width, 3)
                x = layers.observe(name, layers.relu(x))
            if min(x.shape[1:-1]) > 1:
                x = layers.max_pool(x, 2)
        x = layers.dropout(layers.global_avg_pool(x), dropout)
        return layers.logits("dense", x)

    return described(network)


small_vgg = vgg(((64, 64), (128, 128), (256, 256)))
