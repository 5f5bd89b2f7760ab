"""One call of `conv_general_dilated`, written as a layer: window, channels, stride, padding."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

import jaxconv.reference
from jaxconv.bench.call import OfOneCall

Ints = int | tuple[int, ...]
Padding = str | int | tuple[tuple[int, int], ...]

_LETTERS = {1: "W", 2: "HW", 3: "DHW"}


@dataclass(frozen=True)
class Convolution(OfOneCall):
    """A convolutional layer on a batch, and the call that Flax makes for it.

    Attributes:
        batch: the number of examples.
        size: of an example, one int per spatial dimension.
        window: of the kernel, the same.
        c_in: input channels.
        c_out: output channels.
        stride: an int for all dimensions, or one per dimension.
        padding: "SAME", "VALID", an int for both sides of all dimensions, or a pair per dimension.
        dilation: of the kernel, as the stride.
        groups: of channels.
        up: the stride of a transposed convolution, whose call spreads x by it as
            `lax.conv_transpose` does; padding is then "SAME" or "VALID".
        channels_first: whether arrays are NC… and kernels OI…, instead of N…C and …IO.
        source: the network and the layer that it is taken from, where there is one.
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
        """The same layer on so many times as many examples."""
        return replace(self, batch=count * self.batch)

    def on_torch(self, device: str) -> dict[str, Callable[[], Any]]:
        """Nothing: PyTorch is asked for the cases of `cases.py` alone."""
        return {}

    def on_jax(self, ops: Any) -> dict[str, Any]:
        """Forward + backward of a random cotangent, for x and w."""
        return {"both": super().on_jax(ops)["both"]}

    @property
    def dims(self) -> int:
        """The number of spatial dimensions."""
        return len(self.size)

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Those of x and w, in the order of the call."""
        each = self.c_in // self.groups
        if self.channels_first:
            return (self.batch, self.c_in, *self.size), (self.c_out, each, *self.window)
        return (self.batch, *self.size, self.c_in), (*self.window, each, self.c_out)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the call has beside x and w."""
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
        """What sort of convolution it is; the first that fits of `KINDS`."""
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

    def _call(self, ops: Any) -> Callable[..., Array]:
        """Ours, or JAX's own where the reference implementation is asked for."""
        convolve = (lax if ops is jaxconv.reference else ops).conv_general_dilated
        arguments = self.arguments

        def call(x: Array, w: Array) -> Array:
            return convolve(x, w, **arguments)

        return call


# In the order in which a page shows them.
KINDS = (
    "depthwise", "grouped", "transposed", "dilated", "dense", "strided", "1×1", "few channels",
    "tiles", "1-D", "3-D",
)  # fmt: skip


def _spread_padding(window: int, stride: int, padding: str) -> tuple[int, int]:
    """What `lax.conv_transpose` pads the spread input with, in one dimension."""
    if padding == "SAME":
        both = window + stride - 2
        low = window - 1 if stride > window - 1 else math.ceil(both / 2)
    else:
        both = window + stride - 2 + max(window - stride, 0)
        low = window - 1
    return low, both - low
