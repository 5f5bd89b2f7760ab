"""The cases for single ops, each on arrays of one size: forward, and forward + backward."""

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxconv._core.types import Options
from jaxconv.bench.call import OfOneCall
from jaxconv.bench.pytorch import as_torch

Shape = tuple[int, ...]


class Torch:
    """A function of `torch.nn.functional`; `names` are the parameters that get the arrays."""

    def __init__(self, name: str, /, *names: str, **options: Any):
        self.name, self.names, self.options = name, names, options

    def __call__(self, *arrays: object) -> Any:
        """Call the function with these arrays."""
        function = getattr(importlib.import_module("torch").nn.functional, self.name)
        if self.names:
            return function(**dict(zip(self.names, arrays, strict=True)), **self.options)
        return function(*arrays, **self.options)


@dataclass(frozen=True)
class Case(OfOneCall):
    """One op on arrays of these shapes, of which the first holds images or rows.

    Attributes:
        op: the name of the op.
        shapes: the shapes of the differentiated arrays.
        options: the keyword arguments.
        torch: the same op in PyTorch, channels first.
        labels: for losses, the number of classes: one label per row follows the arrays.
    """

    op: str
    shapes: tuple[Shape, ...]
    options: Options = field(default_factory=dict)
    torch: Torch | None = None
    labels: int = 0

    def of_batches(self, count: int) -> "Case":
        """Return the case with `count` times as many images or rows."""
        (examples, *size), *others = self.shapes
        return replace(self, shapes=((count * examples, *size), *others))

    def on_torch(self, device: str) -> dict[str, Callable[[], object]]:
        """Return the calls in PyTorch with the same numbers, contiguous and channels first."""
        if self.torch is None:
            return {}
        torch: ModuleType = importlib.import_module("torch")
        arrays = [
            as_torch(array, device, kernel=self.op.startswith("conv") and number > 0)
            for number, array in enumerate(self._args)
        ]
        wanted = [array.requires_grad_() for array in arrays[: len(self.shapes)]]
        call = functools.partial(self.torch, *arrays)
        dy = torch.randn_like(call())

        def forward() -> object:
            with torch.no_grad():
                return call()

        def both() -> object:
            y = call()
            return y, torch.autograd.grad(y, wanted, dy)

        return {"forward": forward, "both": both}

    @property
    def _name(self) -> str:
        return self.op

    @property
    def _differentiated(self) -> int:
        return len(self.shapes)

    @functools.cached_property
    def _args(self) -> tuple[Array, ...]:
        rng = np.random.default_rng(0)
        arrays = [jnp.asarray(rng.standard_normal(s, np.float32)) for s in self.shapes]
        if self.labels:
            arrays.append(jnp.arange(self.shapes[0][0], dtype=jnp.int32) % self.labels)
        return tuple(arrays)

    def _call(self, ops: ModuleType) -> Callable[..., Array]:
        op = getattr(ops, self.op)

        def call(*arrays: Array) -> Array:
            y = op(*arrays, **self.options)
            return y[0] if isinstance(y, tuple) else y  # batch norm also returns statistics

        return call


def image(n: int, size: int, channels: int, dims: int = 2) -> Shape:
    """Return the shape of a batch of images that have the same size in every dimension."""
    return (n, *(size,) * dims, channels)


_NORM = (image(32, 32, 64), (64,), (64,))
_NAMES = ("input", "weight", "bias")

CASES = {
    "conv 3x3 64": Case(
        "conv", (image(64, 32, 64), (3, 3, 64, 64)), {}, Torch("conv2d", padding=1)
    ),
    "conv 3x3 128": Case(
        "conv", (image(64, 16, 128), (3, 3, 128, 128)), {}, Torch("conv2d", padding=1)
    ),
    "conv 5x5 32-64": Case(
        "conv", (image(64, 14, 32), (5, 5, 32, 64)), {}, Torch("conv2d", padding=2)
    ),
    "conv 1x1 64-128": Case("conv", (image(64, 32, 64), (1, 1, 64, 128)), {}, Torch("conv2d")),
    "conv 3x3 stride 2": Case(
        "conv", (image(64, 32, 64), (3, 3, 64, 128)), {"stride": 2, "padding": 1},
        Torch("conv2d", padding=1, stride=2),
    ),
    "conv 5x5 1-32": Case(
        "conv", (image(128, 28, 1), (5, 5, 1, 32)), {}, Torch("conv2d", padding=2)
    ),
    "depthwise 3x3": Case(
        "conv", (image(32, 32, 64), (3, 3, 1, 64)), {"groups": 64},
        Torch("conv2d", padding=1, groups=64),
    ),
    "depthwise 3x3 stride 2": Case(
        "conv", (image(32, 32, 64), (3, 3, 1, 64)), {"groups": 64, "stride": 2, "padding": 1},
        Torch("conv2d", padding=1, stride=2, groups=64),
    ),
    "depthwise 7x7": Case(
        "conv", (image(8, 56, 96), (7, 7, 1, 96)), {"groups": 96},
        Torch("conv2d", padding=3, groups=96),
    ),
    "grouped 4": Case(
        "conv", (image(32, 32, 64), (3, 3, 16, 64)), {"groups": 4},
        Torch("conv2d", padding=1, groups=4),
    ),
    "grouped 16": Case(
        "conv", (image(16, 14, 128), (3, 3, 8, 128)), {"groups": 16},
        Torch("conv2d", padding=1, groups=16),
    ),
    "dilated 2": Case(
        "conv", (image(32, 32, 64), (3, 3, 64, 64)), {"dilation": 2},
        Torch("conv2d", padding=2, dilation=2),
    ),
    "transposed 4x4 stride 2": Case(
        "conv_transpose", (image(32, 16, 64), (4, 4, 32, 64)), {"stride": 2, "padding": 1},
        Torch("conv_transpose2d", stride=2, padding=1),
    ),
    "conv1d": Case(
        "conv", (image(32, 1024, 64, 1), (5, 64, 64)), {}, Torch("conv1d", padding=2)
    ),
    "conv3d 3x3x3": Case(
        "conv", (image(4, 16, 32, 3), (3, 3, 3, 32, 32)), {}, Torch("conv3d", padding=1)
    ),
    "max pool 2x2": Case(
        "max_pool", (image(64, 32, 64),), {"window": 2}, Torch("max_pool2d", kernel_size=2)
    ),
    "max pool 3x3 stride 2": Case(
        "max_pool", (image(64, 32, 64),), {"window": 3, "stride": 2, "padding": 1},
        Torch("max_pool2d", kernel_size=3, stride=2, padding=1),
    ),
    "avg pool 2x2": Case(
        "avg_pool", (image(64, 32, 64),), {"window": 2}, Torch("avg_pool2d", kernel_size=2)
    ),
    "global avg pool": Case(
        "global_avg_pool", (image(64, 32, 64),), {"keepdims": True},
        Torch("adaptive_avg_pool2d", output_size=1),
    ),
    "batch norm": Case(
        "batch_norm", _NORM, {},
        Torch("batch_norm", *_NAMES, running_mean=None, running_var=None, training=True),
    ),
    "group norm": Case(
        "group_norm", _NORM, {"groups": 8}, Torch("group_norm", *_NAMES, num_groups=8)
    ),
    "layer norm": Case(
        "layer_norm", ((4096, 1024), (1024,), (1024,)), {},
        Torch("layer_norm", *_NAMES, normalized_shape=(1024,)),
    ),
    "relu": Case("relu", (image(64, 32, 64),), {}, Torch("relu")),
    "gelu": Case("gelu", (image(64, 32, 64),), {}, Torch("gelu", approximate="tanh")),
    "softmax 1000": Case("softmax", ((4096, 1000),), {}, Torch("softmax", dim=-1)),
    "cross-entropy 1000": Case(
        "softmax_cross_entropy", ((4096, 1000),), {}, Torch("cross_entropy"), labels=1000
    ),
    "upsample 2": Case(
        "upsample", (image(32, 16, 64),), {"factor": 2},
        Torch("interpolate", scale_factor=2, mode="nearest"),
    ),
    "resize linear": Case(
        "resize", (image(32, 16, 64),), {"size": (32, 32), "method": "linear"},
        Torch("interpolate", size=(32, 32), mode="bilinear"),
    ),
}  # fmt: skip
