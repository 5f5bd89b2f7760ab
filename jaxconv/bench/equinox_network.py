"""A network as users of Equinox write it: for one image, channels first, mapped over a batch."""

import equinox as eqx
import jax
from jax import Array


class Separable(eqx.Module):
    """A depthwise convolution and a 1 × 1 convolution, each with group norm."""

    layers: list[eqx.Module]

    def __init__(self, inputs: int, outputs: int, stride: int, key: Array):
        """Draw the parameters."""
        first, second = jax.random.split(key)
        self.layers = [
            eqx.nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, key=first),
            eqx.nn.GroupNorm(8, inputs),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.Conv2d(inputs, outputs, 1, key=second),
            eqx.nn.GroupNorm(8, outputs),
            eqx.nn.Lambda(jax.nn.relu),
        ]

    def __call__(self, x: Array) -> Array:
        """Return the channels of one image, (C, H, W)."""
        for layer in self.layers:
            x = layer(x)  # type: ignore[operator]
        return x


class Network(eqx.Module):
    """A stem, a max pool, four separable convolutions and an average pool."""

    stem: eqx.nn.Conv2d
    pool: eqx.nn.MaxPool2d
    blocks: list[Separable]
    mean: eqx.nn.AdaptiveAvgPool2d
    dense: eqx.nn.Linear

    def __init__(self, key: Array, width: int = 32, classes: int = 10):
        """Draw the parameters."""
        stem, dense, *keys = jax.random.split(key, 6)
        self.stem = eqx.nn.Conv2d(3, width, 3, padding=1, key=stem)
        self.pool = eqx.nn.MaxPool2d(2, 2)
        sizes = [(1, 2, 1), (2, 2, 1), (2, 4, 2), (4, 4, 1)]
        self.blocks = [
            Separable(width * i, width * o, stride, key)
            for (i, o, stride), key in zip(sizes, keys, strict=True)
        ]
        self.mean = eqx.nn.AdaptiveAvgPool2d(1)
        self.dense = eqx.nn.Linear(4 * width, classes, key=dense)

    def __call__(self, x: Array) -> Array:
        """Return the logits of one image, (C, H, W)."""
        x = self.pool(jax.nn.relu(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.dense(self.mean(x).ravel())


def parts(network: Network) -> tuple[Network, Network]:
    """Return the arrays of a network, and the rest of it."""
    return eqx.partition(network, eqx.is_array)


def whole(arrays: Network, rest: Network) -> Network:
    """Return the network of these parts."""
    return eqx.combine(arrays, rest)
