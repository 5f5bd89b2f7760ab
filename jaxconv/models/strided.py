"""Networks of strided convolutions, for signals (one axis), pictures and volumes (three axes)."""

from jax import Array

from jaxconv.models.layers import Layers, described
from jaxconv.models.model import Model


def strided(widths: tuple[int, ...], window: int) -> Model:
    """Return a network of convolutions with stride 2, each followed by batch norm and ReLU.

    `image_shape` is (length, C), (height, width, C) or (depth, height, width, C), and the kernels
    have as many axes.
    """

    def network(layers: Layers, x: Array) -> Array:
        for number, width in enumerate(widths, start=1):
            x = layers.conv(f"conv{number}", x, width, window, stride=2)
            x = layers.relu(layers.batch_norm(f"norm{number}", x))
            layers.observe(f"conv{number}", x)
        return layers.logits("dense", layers.global_avg_pool(x))

    return described(network)


signal = strided((32, 64, 128), window=9)
volume = strided((16, 32, 64), window=3)
