"""The networks: each case is a step of plain SGD from parameters to new parameters."""

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxconv
import jaxconv.reference
from jaxconv._core.types import Function
from jaxconv.bench.floors import Work, contractions
from jaxconv.bench.pytorch import TorchOps, as_torch
from jaxconv.bench.subject import Program
from jaxconv.models import Model, Params, lenet, plain
from jaxconv.models.model import layer

RATE = 0.01
CLASSES = 10


@dataclass(frozen=True)
class Network:
    """A network and the shape of its training images.

    Attributes:
        init: returns the parameters for (key, image_shape, classes).
        loss: returns the mean cross-entropy for (ops, params, images, labels).
        images: the shape of a batch.
        in_torch: whether the loss also works with `TorchOps`.
    """

    init: Function
    loss: Function
    images: tuple[int, int, int, int]
    in_torch: bool = True

    @classmethod
    def of(cls, model: Model, images: tuple[int, int, int, int]) -> "Network":
        """Return the network of a model that takes its ops as an argument."""

        def loss(ops: ModuleType, params: Params, images: Any, labels: Any) -> Any:
            return ops.softmax_cross_entropy(model.apply(params, images, ops=ops), labels)

        return cls(model.init, loss, images)

    def of_batches(self, count: int) -> "Network":
        """Return the network with `count` times as many images."""
        examples, height, width, channels = self.images
        return replace(self, images=(count * examples, height, width, channels))

    def on_jax(self, ops: ModuleType) -> dict[str, Program]:
        """Return the program of one step."""
        loss = functools.partial(self.loss, ops)

        def step(params: Any, images: Array, labels: Array) -> Any:
            gradient = jax.grad(loss)(params, images, labels)
            return jax.tree.map(lambda p, g: p - RATE * g, params, gradient)

        return {"step": Program(step, (self.params(), *self.batch()))}

    def on_torch(self, device: str) -> dict[str, Callable[[], Any]]:
        """Return the step in PyTorch, from the same parameters and images."""
        if not self.in_torch:
            return {}
        torch: ModuleType = importlib.import_module("torch")
        images, labels = (as_torch(array, device) for array in self.batch())
        leaves, tree = jax.tree.flatten(self.params())
        held = [as_torch(w, device, kernel=w.ndim > 1).requires_grad_() for w in leaves]
        params = jax.tree.unflatten(tree, held)
        loss = functools.partial(self.loss, TorchOps())

        def step() -> list[Any]:
            gradient = torch.autograd.grad(loss(params, images, labels), held)
            with torch.no_grad():
                return [p - RATE * g for p, g in zip(held, gradient, strict=True)]

        return {"step": step}

    def residual_bytes(self, ops: ModuleType) -> None:
        """Return None: a whole step holds its residuals in its temporary memory."""

    def work(self) -> dict[str, list[Work]]:
        """Return the work of convolutions and dense layers: y, dx and dw, but no dx for images."""
        shapes = jax.eval_shape(self.params)
        loss = functools.partial(self.loss, jaxconv.reference)
        first, *rest = contractions(loss, shapes, *self.batch())
        works = [Work(3 * work.multiply_adds, 2 * work.bytes) for work in rest]
        return {"step": [Work(2 * first.multiply_adds, 2 * first.bytes - 4 * self._size), *works]}

    @property
    def _size(self) -> int:
        return int(np.prod(self.images))

    def params(self) -> Any:
        """Return the initial parameters."""
        return self.init(jax.random.key(0), image_shape=self.images[1:], classes=CLASSES)

    def batch(self) -> tuple[Array, Array]:
        """Return random images, and labels."""
        images = np.random.default_rng(0).standard_normal(self.images)
        labels = jnp.arange(self.images[0], dtype=jnp.int32) % CLASSES
        return jnp.asarray(images, jnp.float32), labels


Shapes = Iterator[tuple[str, tuple[int, ...]]]


def _drawn(shapes: Callable[[int, int], Shapes]) -> Callable[..., Params]:
    """Return the `init` of a model whose layers have the names and shapes that `shapes` yields.

    `shapes` takes the number of image channels and of classes. Each convolution is followed by
    batch norm and has its scale and bias instead of a bias of its own; the last layer is dense.
    """

    def init(key: Array, *, image_shape: tuple[int, int, int], classes: int) -> Params:
        params: Params = {}
        for number, (name, shape) in enumerate(shapes(image_shape[2], classes)):
            params[name] = layer(jax.random.fold_in(key, number), shape)
            if len(shape) == 4:
                bias = params[name].pop("b")
                params[name] |= {"scale": jnp.ones_like(bias), "bias": bias}
        return params

    return init


def _normalized(
    ops: ModuleType, x: Any, p: dict[str, Any], *, padding: int = 1, **options: Any
) -> Any:
    """Apply a convolution (3 × 3, or 1 × 1 with padding 0), then batch norm."""
    y = ops.conv(x, p["w"], padding=padding, **options)
    return ops.batch_norm(y, p["scale"], p["bias"])[0]


Blocks = tuple[tuple[int, int], ...]  # (channels, stride) of each


def resnet(stem: int, blocks: Blocks) -> Model:
    """Return a residual network of basic blocks: two 3 × 3 convolutions and a shortcut each.

    He, Zhang, Ren & Sun, "Deep residual learning for image recognition" (2015), section 4.2. If a
    block changes the shape, its shortcut is a 1 × 1 convolution with the same stride.
    """

    def shapes(channels: int, classes: int) -> Shapes:
        yield "stem", (3, 3, channels, stem)
        inputs = stem
        for number, (outputs, stride) in enumerate(blocks):
            yield f"first{number}", (3, 3, inputs, outputs)
            yield f"second{number}", (3, 3, outputs, outputs)
            if (outputs, stride) != (inputs, 1):
                yield f"shortcut{number}", (1, 1, inputs, outputs)
            inputs = outputs
        yield "dense", (inputs, classes)

    def apply(params: Params, x: Any, *, ops: ModuleType = jaxconv) -> Any:
        x = ops.relu(_normalized(ops, x, params["stem"]))
        for number, (_, stride) in enumerate(blocks):
            y = ops.relu(_normalized(ops, x, params[f"first{number}"], stride=stride))
            y = _normalized(ops, y, params[f"second{number}"])
            shortcut = params.get(f"shortcut{number}")
            if shortcut is not None:
                x = _normalized(ops, x, shortcut, padding=0, stride=stride)
            x = ops.relu(x + y)
        return ops.dense(ops.global_avg_pool(x), **params["dense"])

    return Model(_drawn(shapes), apply)


def mobilenet(stem: int, blocks: Blocks) -> Model:
    """Return a network of depthwise 3 × 3 convolutions, each followed by a 1 × 1 convolution.

    Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision
    applications" (2017), with ReLU6.
    """

    def shapes(channels: int, classes: int) -> Shapes:
        yield "stem", (3, 3, channels, stem)
        inputs = stem
        for number, (outputs, _) in enumerate(blocks):
            yield f"depthwise{number}", (3, 3, 1, inputs)
            yield f"pointwise{number}", (1, 1, inputs, outputs)
            inputs = outputs
        yield "dense", (inputs, classes)

    def apply(params: Params, x: Any, *, ops: ModuleType = jaxconv) -> Any:
        x = ops.relu6(_normalized(ops, x, params["stem"]))
        groups = stem
        for number, (outputs, stride) in enumerate(blocks):
            depthwise = params[f"depthwise{number}"]
            x = ops.relu6(_normalized(ops, x, depthwise, stride=stride, groups=groups))
            x = ops.relu6(_normalized(ops, x, params[f"pointwise{number}"], padding=0))
            groups = outputs
        return ops.dense(ops.global_avg_pool(x), **params["dense"])

    return Model(_drawn(shapes), apply)


def _flax(**attributes: Any) -> Any:
    return importlib.import_module("jaxconv.bench.flax_networks").Network(**attributes)


def _flax_init(key: Array, *, image_shape: tuple[int, int, int], classes: int) -> Any:
    return _flax(classes=classes).init(key, jnp.zeros((1, *image_shape), jnp.float32))


def _flax_loss(ops: ModuleType, params: Any, images: Array, labels: Array) -> Any:
    """Return the loss with our convolutions, or with Flax's own if `ops` is the reference."""
    stock = ops is jaxconv.reference
    network = _flax() if stock else _flax(conv_general_dilated=ops.conv_general_dilated)
    return jaxconv.reference.softmax_cross_entropy(network.apply(params, images), labels)


NETWORKS = {
    "LeNet step": Network.of(lenet, (128, 28, 28, 1)),
    "LeNet-like step": Network.of(plain((((5, 32),), ((5, 64),)), hidden=()), (128, 28, 28, 1)),
    "ResNet-20-like step": Network.of(
        resnet(16, ((16, 1),) * 3 + ((32, 2), (32, 1), (32, 1)) + ((64, 2), (64, 1), (64, 1))),
        (64, 32, 32, 3),
    ),
    "MobileNet-like step": Network.of(
        mobilenet(32, ((64, 1), (128, 2), (128, 1), (128, 1), (256, 2))), (64, 32, 32, 3)
    ),
}

if importlib.util.find_spec("flax") is not None:
    NETWORKS["Flax step"] = Network(_flax_init, _flax_loss, (64, 32, 32, 3), in_torch=False)
