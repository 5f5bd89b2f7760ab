"""Plain ConvNets: rounds of convolution and ReLU that end in pooling, and then dense layers."""

import itertools
import math
from types import ModuleType

import jax
from jax import Array

import jaxconv
from jaxconv._core.arguments import Ties
from jaxconv.models.model import Model, Observer, Params, State, ignore, layer

Round = tuple[tuple[int, int], ...]  # (window, channels) of each convolution


def plain(rounds: tuple[Round, ...], hidden: tuple[int, ...], ties: Ties = "first") -> Model:
    """Return the network with these rounds, then dense layers of these sizes, then the classes.

    Every convolution keeps the size (SAME) and is followed by ReLU, and every round ends in
    2 × 2 max pooling; `ties` says which of several equal maxima gets the gradient. The layers are
    named conv1, conv2, …, dense1, dense2, … in order.
    """

    def init(key: Array, image_shape: tuple[int, int, int], classes: int) -> tuple[Params, State]:
        height, width, channels = image_shape
        least = 2 ** len(rounds)
        if min(height, width) < least:
            raise ValueError(
                f"images must be at least {least} × {least} for {len(rounds)} rounds of pooling,"
                f" but they are {height} × {width}"
            )
        shapes: dict[str, tuple[int, ...]] = {}
        for window, outputs in itertools.chain(*rounds):
            shapes[f"conv{len(shapes) + 1}"] = (window, window, channels, outputs)
            channels = outputs
        features = (height // least) * (width // least) * channels
        for number, outputs in enumerate((*hidden, classes), start=1):
            shapes[f"dense{number}"] = (features, outputs)
            features = outputs
        keys = jax.random.split(key, len(shapes))
        params = {
            name: layer(k, shape) for k, (name, shape) in zip(keys, shapes.items(), strict=True)
        }
        return params, {}

    def apply(
        params: Params,
        state: State,
        x: Array,
        *,
        train: bool,
        key: Array | None = None,
        ops: ModuleType = jaxconv,
        observe: Observer = ignore,
    ) -> tuple[Array, State]:
        conv_names = (f"conv{i}" for i in itertools.count(1))
        for convs in rounds:
            for name in itertools.islice(conv_names, len(convs)):
                x = ops.relu(ops.conv(x, **params[name]))
                observe(name, x)
            x = ops.max_pool(x, 2, ties=ties)
        x = x.reshape(x.shape[0], math.prod(x.shape[1:]))
        for name in (f"dense{i}" for i in range(1, len(hidden) + 1)):
            x = ops.relu(ops.dense(x, **params[name]))
            observe(name, x)
        return ops.dense(x, **params[f"dense{len(hidden) + 1}"]), state

    return Model(init, apply)


# The pattern of Simonyan & Zisserman, "Very deep convolutional networks for large-scale image
# recognition" (2015), scaled down to small images.
convnet = plain((((3, 32), (3, 32)), ((3, 64), (3, 64))), hidden=(128,))

# A modern LeNet-5: LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document
# recognition" (1998), with ReLU instead of tanh, max pooling instead of trainable subsampling,
# SAME padding, so that small images keep their border, and four times as many feature maps.
lenet = plain((((5, 24),), ((5, 64),)), hidden=(120, 84))

# The three-layer network of assignment 2 of CS231n (Stanford): its sizes, with the initial
# parameters of all networks here.
cs231n = plain((((7, 32),),), hidden=(100,))

# The notebook's network of "Backpropagation in a Convolutional Neural Network" (Demystifying
# Deep Learning 9), where all ties of a pooling window get the gradient.
demystified = plain((((5, 4), (5, 4)), ((3, 8), (3, 16))), hidden=(128,), ties="all")
