"""Networks described once: a function that calls layers by name gives both `init` and `apply`.

For example, a convolution of 16 channels with a 3 × 3 window, batch norm, ReLU and a dense layer:

    def network(layers, x):
        x = layers.relu(layers.normalized("conv1", "norm1", x, 16, 3))
        return layers.logits("dense", layers.global_avg_pool(x))

    model = described(network)

`layers` is a `Layers`, which says what can be called.
"""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

import jaxconv
from jaxconv.models.model import Model, Observer, Params, State, he_normal, ignore

MOMENTUM = 0.1
"""The share of a running average that is the batch's statistic, as in PyTorch."""

Initial = Callable[[Array, tuple[int, ...]], Array]


def described(network: Callable[["Layers", Array], Array]) -> Model:
    """Return the model of a network that is described as a function of its layers and its input.

    `init` calls the function to see which arrays its layers need, without computing anything, and
    `apply` calls it with these arrays.
    """

    def init(key: Array, image_shape: tuple[int, ...], classes: int) -> tuple[Params, State]:
        making = _Making(classes)
        jax.eval_shape(
            partial(network, making), jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
        )
        return making.drawn(key)

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
        using = _Using(params, state, ops, train=train, key=key, observe=observe)
        logits = network(using, x)
        return logits, using.state

    return Model(init, apply)


class Layers(ABC):
    """The layers of a network, in one pass through it.

    A layer has a name, under which its arrays are kept. What needs no arrays is an op of the
    library: `layers.relu(x)`, `layers.max_pool(x, 2)`.

    Attributes:
        train: whether batch norm takes the statistics of the batch, and dropout drops.
    """

    def __init__(self, ops: ModuleType, *, train: bool) -> None:
        self._ops, self.train = ops, train

    def __getattr__(self, op: str) -> Any:
        """Return an op of the library."""
        return getattr(self._ops, op)

    def conv(
        self,
        name: str,
        x: Array,
        outputs: int,
        window: int,
        *,
        bias: bool = False,
        initial: Initial = he_normal,
        **options: Any,
    ) -> Array:
        """Apply a convolution; `options` are those of `jaxconv.conv`."""
        inputs = x.shape[-1] // options.get("groups", 1)
        w = self._param(name, "w", (*(window,) * (x.ndim - 2), inputs, outputs), initial)
        b = self._param(name, "b", (outputs,), _zeros) if bias else None
        return self._ops.conv(x, w, b, **options)

    def dense(self, name: str, x: Array, outputs: int, *, initial: Initial = he_normal) -> Array:
        """Apply a dense layer."""
        w = self._param(name, "w", (x.shape[-1], outputs), initial)
        return self._ops.dense(x, w, self._param(name, "b", (outputs,), _zeros))

    @abstractmethod
    def logits(self, name: str, x: Array, *, initial: Initial = he_normal) -> Array:
        """Apply the last layer: a dense one with an output for each class."""

    def batch_norm(self, name: str, x: Array, *, eps: float = 1e-5) -> Array:
        """Normalize by the batch and move the running averages, or normalize by these.

        The averages are PyTorch's: of the mean, and of the unbiased variance Σ/(m − 1).
        """
        shape = x.shape[-1:]
        scale, bias = self._affine(name, shape)
        mean = self._kept(name, "mean", _zeros, shape)
        var = self._kept(name, "var", _ones, shape)
        batches = self._kept(name, "batches", _no_batches, ())
        if not self.train:
            # Averages would lose digits as 16-bit floats.
            wide = [each.astype(mean.dtype) for each in (x, scale, bias)]
            return self._ops.batch_norm_inference(*wide, mean, var, eps=eps).astype(x.dtype)
        y, batch_mean, batch_var = self._ops.batch_norm(x, scale, bias, eps=eps)
        m = math.prod(x.shape[:-1])
        self._keep(
            name,
            mean=_moved(mean, batch_mean),
            var=_moved(var, batch_var * (m / max(m - 1, 1))),
            batches=batches + 1,
        )
        return y

    def normalized(
        self, conv: str, norm: str, x: Array, outputs: int, window: int, **options: Any
    ) -> Array:
        """Apply a convolution, padded by half of its window on each side, and then batch norm."""
        x = self.conv(conv, x, outputs, window, padding=window // 2, **options)
        return self.batch_norm(norm, x)

    def layer_norm(self, name: str, x: Array, *, eps: float = 1e-6) -> Array:
        """Normalize the channels of each place."""
        return self._ops.layer_norm(x, *self._affine(name, x.shape[-1:]), eps=eps)

    def scale(self, name: str, x: Array, initial: float) -> Array:
        """Multiply each channel by a number of its own, which is `initial` in the beginning."""
        scale = self._param(name, "scale", x.shape[-1:], partial(_filled, initial))
        return x * scale.reshape((1,) * (x.ndim - 1) + x.shape[-1:])

    def dropout(self, x: Array, rate: float) -> Array:
        """Drop elements of x, in training."""
        return self._ops.dropout(x, rate, self._key()) if self.train and rate else x

    def drop_path(self, x: Array, rate: float) -> Array:
        """Drop whole examples of x, in training."""
        return self._ops.drop_path(x, rate, self._key()) if self.train and rate else x

    def observe(self, name: str, x: Array) -> Array:
        """Show x, the output of a layer, to whoever observes the network, and return it."""
        return x

    def _affine(self, name: str, shape: tuple[int, ...]) -> tuple[Array, Array]:
        return self._param(name, "scale", shape, _ones), self._param(name, "bias", shape, _zeros)

    @abstractmethod
    def _param(self, name: str, leaf: str, shape: tuple[int, ...], initial: Initial) -> Array:
        """Return an array that is trained."""

    @abstractmethod
    def _kept(self, name: str, leaf: str, initial: Initial, shape: tuple[int, ...]) -> Array:
        """Return an array of the state."""

    @abstractmethod
    def _keep(self, name: str, **leaves: Array) -> None:
        """Change the state of a layer."""

    @abstractmethod
    def _key(self) -> Array:
        """Return the next random key, for a layer that drops elements or examples."""


class _Making(Layers):
    """A pass that finds out which arrays the layers need."""

    def __init__(self, classes: int) -> None:
        super().__init__(jaxconv, train=False)
        self._classes = classes
        self._params: _Needed = defaultdict(dict)
        self._state: _Needed = defaultdict(dict)

    def drawn(self, key: Array) -> tuple[Params, State]:
        """Return the initial arrays; every layer has a key of its own."""
        return _drawn(self._params, key), _drawn(self._state, key)

    def logits(self, name: str, x: Array, *, initial: Initial = he_normal) -> Array:
        return self.dense(name, x, self._classes, initial=initial)

    def _param(self, name: str, leaf: str, shape: tuple[int, ...], initial: Initial) -> Array:
        return _need(self._params, name, leaf, shape, initial)

    def _kept(self, name: str, leaf: str, initial: Initial, shape: tuple[int, ...]) -> Array:
        return _need(self._state, name, leaf, shape, initial)

    def _keep(self, name: str, **leaves: Array) -> None:
        pass

    def _key(self) -> Array:
        raise AssertionError("nothing is drawn in evaluation")


class _Using(Layers):
    """A pass with the arrays of the layers.

    Attributes:
        state: the state after the layers that were called.
    """

    def __init__(
        self,
        params: Params,
        state: State,
        ops: ModuleType,
        *,
        train: bool,
        key: Array | None,
        observe: Observer,
    ) -> None:
        super().__init__(ops, train=train)
        self._params, self.state = params, dict(state)
        self._random, self._drawn = key, 0
        self._observe = observe

    def logits(self, name: str, x: Array, *, initial: Initial = he_normal) -> Array:
        return self._ops.dense(x, **self._params[name])

    def observe(self, name: str, x: Array) -> Array:
        self._observe(name, x)
        return x

    def _param(self, name: str, leaf: str, shape: tuple[int, ...], initial: Initial) -> Array:
        return self._params[name][leaf]

    def _kept(self, name: str, leaf: str, initial: Initial, shape: tuple[int, ...]) -> Array:
        return self.state[name][leaf]

    def _keep(self, name: str, **leaves: Array) -> None:
        self.state[name] = leaves

    def _key(self) -> Array:
        if self._random is None:
            raise ValueError("apply: this network drops at random in training and needs a key")
        self._drawn += 1
        return jax.random.fold_in(self._random, self._drawn)


_Needed = dict[str, dict[str, Callable[[Array], Array]]]


def _need(needed: _Needed, name: str, leaf: str, shape: tuple[int, ...], initial: Initial) -> Array:
    """Note that a layer needs an array, and return one of its shape."""
    if leaf in needed[name]:
        raise ValueError(f"two layers of the network have the name {name!r}")
    needed[name][leaf] = lambda key: initial(key, shape)
    return initial(jax.random.key(0), shape)


def _drawn(needed: _Needed, key: Array) -> dict[str, dict[str, Array]]:
    return {
        name: {leaf: draw(jax.random.fold_in(key, number)) for leaf, draw in leaves.items()}
        for number, (name, leaves) in enumerate(needed.items())
    }


def _moved(average: Array, batch: Array) -> Array:
    if batch.dtype != average.dtype:
        batch = batch.astype(average.dtype)
    return average + MOMENTUM * (batch - average)


def _filled(value: float, key: Array, shape: tuple[int, ...]) -> Array:
    return jnp.full(shape, value, jnp.float32)


def _no_batches(key: Array, shape: tuple[int, ...]) -> Array:
    return jnp.zeros(shape, jnp.int32)


_zeros, _ones = partial(_filled, 0.0), partial(_filled, 1.0)
