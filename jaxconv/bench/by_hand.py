"""Functions that were not written for this library: as they are, and with `jaxconv.by_hand`.

The networks are those of flax_networks.py and equinox_network.py. The others are four reports of
slow gradients to JAX's developers, some with fewer examples or channels than reported.
"""

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
from jax import Array, lax

import jaxconv
import jaxconv.reference
from jaxconv._core.types import Function
from jaxconv._core.work import Work, contractions
from jaxconv.bench.pytorch import Tensor
from jaxconv.bench.subject import Program

Loss = Callable[[Any, Array], Array]
Task = tuple[Loss, Any]
"""A loss and the parameters to begin with."""

TorchTask = tuple[Callable[[list[Tensor], Tensor], Tensor], list[Tensor]]
"""A loss in PyTorch, of parameters and images, and the parameters to begin with."""


@dataclass(frozen=True)
class Written:
    """A loss that somebody wrote, and its gradient for the parameters.

    Attributes:
        make: returns the loss, given parameters and a batch, and the parameters.
        batch: the shape of a batch, of which the first size is the number of examples.
        torch: returns the loss in PyTorch and the shapes of its parameters, if there is an equal.
        dtype: the dtype of everything.
        channels_last: whether a batch has its channels last, which are second in PyTorch.
    """

    make: Callable[[], Task]
    batch: tuple[int, ...]
    torch: Function | None = None
    dtype: str = "float32"
    channels_last: bool = False

    def of_batches(self, count: int) -> "Written":
        """Return the same with `count` times as many examples."""
        return replace(self, batch=(count * self.batch[0], *self.batch[1:]))

    def on_jax(self, ops: ModuleType) -> dict[str, Program]:
        """Return the gradient with the rules of this library, or as it is for the reference."""
        loss, params = self.make()
        loss = loss if ops is jaxconv.reference else jaxconv.by_hand(loss)
        return {"step": Program(jax.grad(loss), (params, self._drawn()))}

    def on_torch(self, device: str) -> dict[str, Callable[[], object]]:
        """Return the gradient in PyTorch, of parameters and a batch of the same shapes."""
        if self.torch is None:
            return {}
        torch: ModuleType = importlib.import_module("torch")
        loss, params = self.torch(torch, device, getattr(torch, self.dtype))
        x = torch.tensor(np.asarray(self._drawn(), np.float32), device=device)
        x = x.movedim(-1, 1).contiguous() if self.channels_last else x
        x = x.to(getattr(torch, self.dtype))
        return {"step": lambda: torch.autograd.grad(loss(params, x), params)}

    def residual_bytes(self, ops: ModuleType) -> None:
        """Return None: a whole step holds its residuals in its temporary memory."""

    def work(self) -> dict[str, list[Work]]:
        """Return three times the work of each convolution and product: of y, dx and dw."""
        loss, params = self.make()
        found = contractions(loss, params, self._drawn())
        return {"step": [Work(3 * work.multiply_adds, 2 * work.bytes) for work in found]}

    def _drawn(self) -> Array:
        return _normal(0, self.batch, self.dtype)


def _normal(seed: int, shape: tuple[int, ...], dtype: str = "float32") -> Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def _flax(name: str, image: tuple[int, ...], **sizes: Any) -> Callable[[], Task]:
    """Return a network of flax_networks.py with a squared loss; its statistics do not move."""

    def make() -> Task:
        network = getattr(importlib.import_module("jaxconv.bench.flax_networks"), name)(**sizes)
        variables = network.init(jax.random.key(0), jnp.zeros((1, *image)))
        params = variables.pop("params")

        def loss(params: object, x: Array) -> Array:
            y, _ = network.apply({"params": params, **variables}, x, mutable=list(variables))
            return jnp.mean(y**2)

        return loss, params

    return make


def _network(name: str, batch: tuple[int, ...], **sizes: Any) -> Written:
    """Return a network of images that is in flax_networks.py and in torch_networks.py."""

    def in_torch(torch: ModuleType, device: str, dtype: object) -> TorchTask:
        module: ModuleType = importlib.import_module("jaxconv.bench.torch_networks")
        return module.loss_of(name, device, **sizes)

    return Written(_flax(name, batch[1:], **sizes), batch, in_torch, channels_last=True)


def _equinox() -> Task:
    module: ModuleType = importlib.import_module("jaxconv.bench.equinox_network")
    params, rest = module.parts(module.Network(jax.random.key(0)))

    def loss(params: object, x: Array) -> Array:
        return jnp.mean(jax.vmap(module.whole(params, rest))(x) ** 2)

    return loss, params


def _chain(channels: int, layers: int) -> Task:
    """Return depthwise convolutions one after the other, of sequences (jax-ml/jax #13800)."""

    def loss(params: list[Array], x: Array) -> Array:
        for w in params:
            x = lax.conv_general_dilated(
                x, w, (1,), "SAME", dimension_numbers=("NCW", "IOW", "NCW"),
                feature_group_count=channels,
            )  # fmt: skip
        return jnp.abs(x).mean()

    return loss, [_normal(i, (1, channels, 5)) / 2 for i in range(layers)]


def _chain_in_torch(
    channels: int, layers: int, torch: ModuleType, device: str, dtype: object
) -> TorchTask:
    params = _tensors(torch, device, dtype, [(channels, 1, 5)] * layers)

    def loss(params: list[Tensor], x: Tensor) -> Tensor:
        for w in params:
            x = torch.nn.functional.conv1d(x, w, padding=2, groups=channels)
        return x.abs().mean()

    return loss, params


def _dilated(channels: int, window: int, dilation: int) -> Task:
    """Return a depthwise convolution of sequences with a dilation (jax-ml/jax #26266)."""

    def loss(w: Array, x: Array) -> Array:
        y = lax.conv_general_dilated(
            x, w, (1,), "SAME", rhs_dilation=(dilation,), feature_group_count=channels
        )
        return jnp.abs(y).mean()

    return loss, _normal(1, (channels, 1, window))


def _dilated_in_torch(
    channels: int, window: int, dilation: int, torch: ModuleType, device: str, dtype: object
) -> TorchTask:
    params = _tensors(torch, device, dtype, [(channels, 1, window)])

    def loss(params: list[Tensor], x: Tensor) -> Tensor:
        y = torch.nn.functional.conv1d(
            x, params[0], padding=dilation * (window // 2), dilation=dilation, groups=channels
        )
        return y.abs().mean()

    return loss, params


def _transposed(channels: int, window: int, stride: int) -> Task:
    """Return a transposed convolution of sequences (jax-ml/jax #23783)."""

    def loss(w: Array, x: Array) -> Array:
        numbers = ("NCW", "WIO", "NCW")
        y = lax.conv_transpose(x, w, (stride,), "SAME", dimension_numbers=numbers)
        return jnp.abs(y).mean()

    return loss, _normal(1, (window, channels, channels))


def _transposed_in_torch(
    channels: int, window: int, stride: int, torch: ModuleType, device: str, dtype: object
) -> TorchTask:
    params = _tensors(torch, device, dtype, [(channels, channels, window)])

    def loss(params: list[Tensor], x: Tensor) -> Tensor:
        y = torch.nn.functional.conv_transpose1d(
            x, params[0], stride=stride, padding=(window - stride) // 2
        )
        return y.abs().mean()

    return loss, params


def _transposed_3d(channels: int) -> Task:
    """Return a transposed convolution of volumes to one channel (jax-ml/jax #31662)."""

    def loss(w: Array, x: Array) -> Array:
        y = lax.conv_general_dilated(
            x, w, (1, 1, 1), ((1, 2),) * 3, lhs_dilation=(2, 2, 2)
        )  # as Equinox computes it: padding 1 and output_padding 1
        return y.astype(jnp.float32).mean()

    return loss, _normal(1, (1, channels, 3, 3, 3), "bfloat16")


def _transposed_3d_in_torch(
    channels: int, torch: ModuleType, device: str, dtype: object
) -> TorchTask:
    params = _tensors(torch, device, dtype, [(channels, 1, 3, 3, 3)])

    def loss(params: list[Tensor], x: Tensor) -> Tensor:
        y = torch.nn.functional.conv_transpose3d(
            x, params[0], stride=2, padding=1, output_padding=1
        )
        return y.float().mean()

    return loss, params


def _tensors(
    torch: ModuleType, device: str, dtype: object, shapes: list[tuple[int, ...]]
) -> list[Tensor]:
    return [torch.randn(shape, device=device).to(dtype).div(2).requires_grad_() for shape in shapes]


def _report(
    make: Function, in_torch: Function, batch: tuple[int, ...], *sizes: int,
    dtype: str = "float32",
) -> Written:  # fmt: skip
    return Written(
        functools.partial(make, *sizes), batch, functools.partial(in_torch, *sizes), dtype
    )


FUNCTIONS = {
    "jax #13800 depthwise chain": _report(_chain, _chain_in_torch, (8, 64, 512), 64, 12),
    "jax #26266 dilated depthwise": _report(_dilated, _dilated_in_torch, (8, 64, 1024), 64, 9, 16),
    "jax #23783 transposed 1-D": _report(_transposed, _transposed_in_torch, (8, 64, 512), 64, 4, 2),
    "jax #31662 transposed 3-D": _report(
        _transposed_3d, _transposed_3d_in_torch, (1, 64, 64, 64, 32), 64, dtype="bfloat16"
    ),
}

if importlib.util.find_spec("flax") is not None:
    FUNCTIONS = {
        "Flax ResNet-18-like": _network("Residual", (16, 64, 64, 3)),
        "Flax U-Net-like": _network("UNet", (8, 96, 96, 3), width=32),
        "Flax separable": Written(_flax("Network", (32, 32, 3)), (64, 32, 32, 3)),
        "Flax Conformer-like": Written(_flax("Conformer", (256, 144)), (8, 256, 144)),
        **FUNCTIONS,
    }

if importlib.util.find_spec("equinox") is not None:
    FUNCTIONS["Equinox, mapped"] = Written(_equinox, (32, 3, 32, 32))
