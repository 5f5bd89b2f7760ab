"""The networks: each case is a step of plain SGD from parameters to new parameters."""

import functools
import importlib
import importlib.util
from collections.abc import Callable
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
from jaxconv._core.work import Work, contractions
from jaxconv.bench.pytorch import Tensor, TorchOps, as_torch
from jaxconv.bench.subject import Program
from jaxconv.models import Model, Params, State, lenet, plain, resnet20, small_mobilenet

RATE = 0.01
CLASSES = 10


@dataclass(frozen=True)
class Network:
    """A network and the shape of its training images.

    Attributes:
        init: returns (params, state) for (key, image_shape, classes).
        loss: returns the mean cross-entropy, and the new state, for (ops, params, state, images,
            labels).
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

        def loss(ops: Any, params: Params, state: State, images: Any, labels: Any) -> Any:
            logits, state = model.apply(params, state, images, train=True, ops=ops)
            return ops.softmax_cross_entropy(logits, labels), state

        return cls(model.init, loss, images)

    def of_batches(self, count: int) -> "Network":
        """Return the network with `count` times as many images."""
        examples, height, width, channels = self.images
        return replace(self, images=(count * examples, height, width, channels))

    def on_jax(self, ops: ModuleType) -> dict[str, Program]:
        """Return the program of one step."""
        loss = functools.partial(self.loss, ops)

        def step(params: Any, state: Any, images: Array, labels: Array) -> tuple[object, object]:
            gradient, state = jax.grad(loss, has_aux=True)(params, state, images, labels)
            return jax.tree.map(lambda p, g: p - RATE * g, params, gradient), state

        return {"step": Program(step, (*self.variables(), *self.batch()))}

    def on_torch(self, device: str) -> dict[str, Callable[[], object]]:
        """Return the step in PyTorch, from the same parameters and images."""
        if not self.in_torch:
            return {}
        torch: ModuleType = importlib.import_module("torch")
        images, labels = (as_torch(array, device) for array in self.batch())
        params, state = self.variables()
        leaves, tree = jax.tree.flatten(params)
        held = [as_torch(w, device, kernel=w.ndim > 1).requires_grad_() for w in leaves]
        params = jax.tree.unflatten(tree, held)
        state = jax.tree.map(lambda leaf: as_torch(leaf, device), state)
        loss = functools.partial(self.loss, TorchOps())
        seen = images.movedim(1, -1)  # as jaxconv sees it; in memory its channels stay first

        def step() -> list[Tensor]:
            value, _ = loss(params, state, seen, labels)
            gradient = torch.autograd.grad(value, held)
            with torch.no_grad():
                return [p - RATE * g for p, g in zip(held, gradient, strict=True)]

        return {"step": step}

    def residual_bytes(self, ops: ModuleType) -> None:
        """Return None: a whole step holds its residuals in its temporary memory."""

    def work(self) -> dict[str, list[Work]]:
        """Return the work of convolutions and dense layers: y, dx and dw, but no dx for images."""
        shapes = jax.eval_shape(self.variables)
        loss = functools.partial(self.loss, jaxconv.reference)
        first, *rest = contractions(loss, *shapes, *self.batch())
        works = [Work(3 * work.multiply_adds, 2 * work.bytes) for work in rest]
        return {"step": [Work(2 * first.multiply_adds, 2 * first.bytes - 4 * self._size), *works]}

    @property
    def _size(self) -> int:
        return int(np.prod(self.images))

    def variables(self) -> tuple[Any, Any]:
        """Return the initial parameters, and the state."""
        return self.init(jax.random.key(0), image_shape=self.images[1:], classes=CLASSES)

    def batch(self) -> tuple[Array, Array]:
        """Return random images, and labels."""
        images = np.random.default_rng(0).standard_normal(self.images)
        labels = jnp.arange(self.images[0], dtype=jnp.int32) % CLASSES
        return jnp.asarray(images, jnp.float32), labels


def _flax(**attributes: Any) -> Any:
    return importlib.import_module("jaxconv.bench.flax_networks").Network(**attributes)


def _flax_init(key: Array, *, image_shape: tuple[int, int, int], classes: int) -> Any:
    return _flax(classes=classes).init(key, jnp.zeros((1, *image_shape), jnp.float32)), {}


def _flax_loss(ops: ModuleType, params: Any, state: Any, images: Array, labels: Array) -> Any:
    """Return the loss with our convolutions, or with Flax's own if `ops` is the reference."""
    stock = ops is jaxconv.reference
    network = _flax() if stock else _flax(conv_general_dilated=ops.conv_general_dilated)
    logits = network.apply(params, images)
    return jaxconv.reference.softmax_cross_entropy(logits, labels), state


NETWORKS = {
    "LeNet step": Network.of(lenet, (128, 28, 28, 1)),
    "LeNet-like step": Network.of(plain((((5, 32),), ((5, 64),)), hidden=()), (128, 28, 28, 1)),
    "ResNet-20-like step": Network.of(resnet20, (64, 32, 32, 3)),
    "MobileNet-like step": Network.of(small_mobilenet, (64, 32, 32, 3)),
}

if importlib.util.find_spec("flax") is not None:
    NETWORKS["Flax step"] = Network(_flax_init, _flax_loss, (64, 32, 32, 3), in_torch=False)
