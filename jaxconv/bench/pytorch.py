"""Arrays and ops in PyTorch's layout: channels first, kernels (O, I, *window).

PyTorch is imported only when it is used, because it may not be installed.
"""

import importlib
import importlib.util
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from jax.typing import ArrayLike

Tensor = Any
"""A tensor of PyTorch, which is no dependency."""


def is_installed() -> bool:
    """Whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def device_like(platform: str) -> str | None:
    """Return PyTorch's name for JAX's "cpu" or "gpu"; None if PyTorch cannot use the device."""
    if not is_installed():
        return None
    torch: ModuleType = importlib.import_module("torch")
    if platform == "cpu":
        return "cpu"
    return "cuda" if platform == "gpu" and torch.cuda.is_available() else None


def prepare(device: str) -> None:
    """Make PyTorch use TF32 and search for the fastest code on a GPU, as XLA does by default."""
    if device == "cuda":
        torch: ModuleType = importlib.import_module("torch")
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True


def as_torch(array: ArrayLike, device: str, *, kernel: bool = False) -> Tensor:
    """Return a tensor with the same numbers, channels first, and outputs first for a kernel.

    On a CPU the tensor is contiguous. On a GPU channels are last in memory, as cuDNN is then
    fastest.
    """
    torch: ModuleType = importlib.import_module("torch")
    array = np.asarray(array)
    if array.dtype.kind == "i":
        array = array.astype(np.int64)  # PyTorch takes labels in int64
    if kernel:
        array = np.moveaxis(array, (-1, -2), (0, 1))
    elif array.ndim > 2:
        array = np.moveaxis(array, -1, 1)
    tensor = torch.tensor(np.asarray(array, order="C"), device=device)
    lies = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensor.ndim)
    if device == "cpu" or lies is None:
        return tensor
    return tensor.contiguous(memory_format=lies)


def waiting_on(device: str) -> Callable[[Tensor], Tensor]:
    """Return a function that waits for a result; on a CPU, PyTorch's calls wait themselves."""
    if device == "cpu":
        return lambda result: result
    torch: ModuleType = importlib.import_module("torch")
    return lambda _: torch.cuda.synchronize()


class TorchOps:
    """The ops that the networks call, with the names and arguments of jaxconv, in PyTorch.

    Images are (N, H, W, C) to whoever calls an op, and channels first in memory.
    """

    def __init__(self) -> None:
        self._nn: Any = importlib.import_module("torch").nn.functional

    def conv(
        self, x: Tensor, w: Tensor, b: Tensor | None = None, *, stride: int = 1,
        padding: Any = "SAME", groups: int = 1,
    ) -> Tensor:  # fmt: skip
        """Call `conv2d`; "SAME" needs a stride of 1."""
        padding = padding.lower() if isinstance(padding, str) else padding
        return self._nn.conv2d(_first(x), w, b, stride, padding, groups=groups).movedim(1, -1)

    def dense(self, x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        """Call `linear`."""
        return self._nn.linear(x, w, b)

    def max_pool(self, x: Tensor, window: int, *, ties: str = "first") -> Tensor:
        """Call `max_pool2d`, which supports only `ties="first"`."""
        if ties != "first":
            raise ValueError(f"PyTorch gives the gradient to the first of ties, not to {ties!r}")
        return self._nn.max_pool2d(_first(x), window).movedim(1, -1)

    def batch_norm(
        self, x: Tensor, scale: Tensor, bias: Tensor, *, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Normalize by the batch, and return its mean and its biased variance, too.

        PyTorch has them as running averages that keep nothing of what they were.
        """
        mean, var = scale.detach().clone(), scale.detach().clone()
        y = self._nn.batch_norm(
            _first(x), mean, var, scale, bias, training=True, momentum=1.0, eps=eps
        )
        m = x.numel() // len(scale)
        return y.movedim(1, -1), mean, var * ((m - 1) / m)

    def global_avg_pool(self, x: Tensor) -> Tensor:
        """Return the means over height and width, of shape (N, C)."""
        return x.mean((1, 2))

    def dropout(self, x: Tensor, rate: float, key: object) -> Tensor:
        """Call `dropout`, which draws with a generator of its own."""
        return self._nn.dropout(x, rate)

    def relu(self, x: Tensor) -> Tensor:
        """Call `relu`."""
        return self._nn.relu(x)

    def relu6(self, x: Tensor) -> Tensor:
        """Call `relu6`."""
        return self._nn.relu6(x)

    def softmax_cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Call `cross_entropy`."""
        return self._nn.cross_entropy(logits, labels)


def _first(x: Tensor) -> Tensor:
    """Return x with its channels first, as a view."""
    return x.movedim(-1, 1)
