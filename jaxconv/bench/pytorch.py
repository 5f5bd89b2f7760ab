"""Arrays and ops in PyTorch's layout: channels first, kernels (O, I, *window).

Nothing here is imported before it is used, for PyTorch may not be installed.
"""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np


def is_installed() -> bool:
    """Whether there is a PyTorch to be compared with."""
    return importlib.util.find_spec("torch") is not None


def device_like(platform: str) -> str | None:
    """What PyTorch calls the device that JAX calls cpu or gpu; None if it cannot use it."""
    if not is_installed():
        return None
    torch: Any = importlib.import_module("torch")
    if platform == "cpu":
        return "cpu"
    return "cuda" if platform == "gpu" and torch.cuda.is_available() else None


def prepare(device: str) -> None:
    """Let PyTorch compute on a GPU as XLA does by default: in TF32, in the way found fastest."""
    if device == "cuda":
        torch: Any = importlib.import_module("torch")
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True


def as_torch(array: Any, device: str, *, kernel: bool = False) -> Any:
    """A tensor of the same numbers: channels first, a kernel's outputs first.

    On a CPU it is contiguous; on a GPU the channels lie last in memory, where cuDNN is fastest.
    """
    torch: Any = importlib.import_module("torch")
    array = np.asarray(array)
    if array.dtype.kind == "i":
        array = array.astype(np.int64)  # the labels it takes
    if kernel:
        array = np.moveaxis(array, (-1, -2), (0, 1))
    elif array.ndim > 2:
        array = np.moveaxis(array, -1, 1)
    tensor = torch.tensor(np.asarray(array, order="C"), device=device)
    lies = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensor.ndim)
    if device == "cpu" or lies is None:
        return tensor
    return tensor.contiguous(memory_format=lies)


def waiting_on(device: str) -> Callable[[Any], Any]:
    """What waits until a result is there; on a CPU it is when PyTorch returns it."""
    if device == "cpu":
        return lambda result: result
    torch: Any = importlib.import_module("torch")
    return lambda _: torch.cuda.synchronize()


class TorchOps:
    """The ops that the networks call, by the names and with the arguments of jaxconv."""

    def __init__(self) -> None:
        self._nn: Any = importlib.import_module("torch").nn.functional

    def conv(
        self, x: Any, w: Any, b: Any = None, *, stride: int = 1, padding: Any = "SAME",
        groups: int = 1,
    ) -> Any:  # fmt: skip
        """`conv2d`; SAME where the stride is 1."""
        padding = padding.lower() if isinstance(padding, str) else padding
        return self._nn.conv2d(x, w, b, stride, padding, groups=groups)

    def dense(self, x: Any, w: Any, b: Any) -> Any:
        """`linear`."""
        return self._nn.linear(x, w, b)

    def max_pool(self, x: Any, window: int, *, ties: str = "first") -> Any:
        """`max_pool2d`, which knows the first of ties alone."""
        if ties != "first":
            raise ValueError(f"PyTorch gives the gradient to the first of ties, not to {ties!r}")
        return self._nn.max_pool2d(x, window)

    def batch_norm(self, x: Any, scale: Any, bias: Any) -> tuple[Any]:
        """By the statistics of the batch, which are not returned."""
        return (self._nn.batch_norm(x, None, None, scale, bias, training=True),)

    def global_avg_pool(self, x: Any) -> Any:
        """(N, C)."""
        return x.mean((2, 3))

    def relu(self, x: Any) -> Any:
        """`relu`."""
        return self._nn.relu(x)

    def relu6(self, x: Any) -> Any:
        """`relu6`."""
        return self._nn.relu6(x)

    def softmax_cross_entropy(self, logits: Any, labels: Any) -> Any:
        """`cross_entropy`."""
        return self._nn.cross_entropy(logits, labels)
