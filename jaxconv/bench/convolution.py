"""`Convolution`: one call of `conv_general_dilated`, described as a layer."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

import jaxconv.reference
from jaxconv._core.types import Options
from jaxconv.bench.call import OfOneCall
from jaxconv.bench.subject import Program

Ints = int | tuple[int, ...]
Padding = str | int | tuple[tuple[int, int], ...]

_LETTERS = {1: "W", 2: "HW", 3: "DHW"}


@dataclass(frozen=True)
class Convolution(OfOneCall):
    """A convolutional layer on a batch, and the call that Flax makes for it.

    Attributes:
        batch: the number of examples.
        size: the size of an example, one int per spatial dimension.
        window: the size of the kernel, one int per spatial dimension.
        c_in: the number of input channels.
        c_out: the number of output channels.
        stride: an int for all dimensions, or one per dimension.
        padding: "SAME", "VALID", an int for both sides of all dimensions, or a pair per dimension.
        dilation: the dilation of the kernel, an int for all dimensions, or one per dimension.
        groups: the number of groups of channels.
        up: the stride of a transposed convolution, which becomes an input dilation as in
            `lax.conv_transpose`; padding is then "SAME" or "VALID".
        channels_first: whether arrays are NC… and kernels OI…, instead of N…C and …IO.
        source: the paper that the layer is taken from, and what is smaller here; "" if there is
            none.
    """

    batch: int
    size: tuple[int, ...]
    window: tuple[int, ...]
    c_in: int
    c_out: int
    stride: Ints = 1
    padding: Padding = "SAME"
    dilation: Ints = 1
    groups: int = 1
    up: int = 1
    channels_first: bool = False
    source: str = field(default="", compare=False)

    def of_batches(self, count: int) -> "Convolution":
        """Return the layer with `count` times as many examples."""
        return replace(self, batch=count * self.batch)

    def on_torch(self, device: str) -> dict[str, Callable[[], object]]:
        """Return {}, since PyTorch runs only the cases of `cases.py` and `networks.py`."""
        return {}

    def on_jax(self, ops: ModuleType) -> dict[str, Program]:
        """Return the program for forward + backward of a random cotangent, for x and w."""
        return {"both": super().on_jax(ops)["both"]}

    @property
    def dims(self) -> int:
        """The number of spatial dimensions."""
        return len(self.size)

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shapes of x and w."""
        each = self.c_in // self.groups
        if self.channels_first:
            return (self.batch, self.c_in, *self.size), (self.c_out, each, *self.window)
        return (self.batch, *self.size, self.c_in), (*self.window, each, self.c_out)

    @property
    def arguments(self) -> Options:
        """The keyword arguments of the call, that is all but x and w."""
        axes = _LETTERS[self.dims]
        images = f"NC{axes}" if self.channels_first else f"N{axes}C"
        kernels = f"OI{axes}" if self.channels_first else f"{axes}IO"
        return {
            "window_strides": self._each(self.stride),
            "padding": self._padding(),
            "lhs_dilation": self._each(self.up),
            "rhs_dilation": self._each(self.dilation),
            "dimension_numbers": (images, kernels, images),
            "feature_group_count": self.groups,
        }

    @property
    def kind(self) -> str:
        """The kind of the convolution, one of `KINDS`."""
        if self.up > 1:
            return "transposed"
        if self.groups > 1:
            return "depthwise" if self.groups == self.c_in else "grouped"
        if self.dims != 2:
            return f"{self.dims}-D"
        if max(self.window) == 1:
            return "1×1"
        if math.prod(self._each(self.dilation)) > 1:
            return "dilated"
        if self._each(self.stride) == self.window:
            return "tiles"
        if min(self.c_in, self.c_out) <= 4:
            return "few channels"
        return "strided" if math.prod(self._each(self.stride)) > 1 else "dense"

    def __str__(self) -> str:
        parts = [
            f"{'×'.join(map(str, self.window))} {self.c_in}→{self.c_out}",
            f"on {self.batch}×{'×'.join(map(str, self.size))}",
        ]
        if math.prod(self._each(self.stride)) > 1:
            parts.append(f"stride {self._brief(self.stride)}")
        if self.up > 1:
            parts.append(f"transposed, stride {self.up}")
        if math.prod(self._each(self.dilation)) > 1:
            parts.append(f"dilation {self._brief(self.dilation)}")
        if self.groups > 1:
            parts.append(f"{self.groups} groups")
        if self.channels_first:
            parts.append("channels first")
        return ", ".join(parts)

    def _each(self, value: Ints) -> tuple[int, ...]:
        return (value,) * self.dims if isinstance(value, int) else value

    def _brief(self, value: Ints) -> str:
        each = self._each(value)
        return str(each[0]) if len(set(each)) == 1 else "×".join(map(str, each))

    def _padding(self) -> Any:
        if self.up > 1:
            return [_spread_padding(k, self.up, str(self.padding)) for k in self.window]
        if isinstance(self.padding, int):
            return [(self.padding, self.padding)] * self.dims
        return self.padding if isinstance(self.padding, str) else list(self.padding)

    @property
    def _name(self) -> str:
        return "conv_general_dilated"

    @property
    def _differentiated(self) -> int:
        return 2

    @functools.cached_property
    def _args(self) -> tuple[Array, ...]:
        rng = np.random.default_rng(0)
        return tuple(jnp.asarray(rng.standard_normal(s, np.float32)) for s in self.shapes)

    def _call(self, ops: ModuleType) -> Callable[..., Array]:
        """Return the call of our op, or that of `lax` if `ops` is the reference implementation."""
        convolve = (lax if ops is jaxconv.reference else ops).conv_general_dilated
        arguments = self.arguments

        def call(x: Array, w: Array) -> Array:
            return convolve(x, w, **arguments)

        return call


# The order is that of docs/benchmarks.md.
KINDS = (
    "depthwise", "grouped", "transposed", "dilated", "dense", "strided", "1×1", "few channels",
    "tiles", "1-D", "3-D",
)  # fmt: skip


def _spread_padding(window: int, stride: int, padding: str) -> tuple[int, int]:
    """Return the padding that `lax.conv_transpose` gives the dilated input, in one dimension."""
    if padding == "SAME":
        both = window + stride - 2
        low = window - 1 if stride > window - 1 else math.ceil(both / 2)
    else:
        both = window + stride - 2 + max(window - stride, 0)
        low = window - 1
    return low, both - low
