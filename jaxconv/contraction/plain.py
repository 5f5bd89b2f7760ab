"""The plain form: each contraction is one `lax.conv_general_dilated`, for any spec and layout.

`lax.conv_general_dilated` is a correlation in which both factors may have holes: it slides a kernel
whose neighbours are `rhs_dilation` apart over an input whose neighbours are `lhs_dilation` apart,
in steps of `window_strides`. All three contractions are of this kind; each docstring says which
number plays which part.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import NamedSharding

from jaxconv._core.arguments import Layout, Precisions, accumulator
from jaxconv._core.conv_spec import ConvSpec
from jaxconv._core.geometry import Ints, spatial_axes
from jaxconv._core.types import Options
from jaxconv.contraction.form import Contraction, Form, Inner
from jaxconv.contraction.kernels import rot180, swap_channels


def correlate(
    spec: ConvSpec,
    x: Array,
    w: Array,
    *,
    layout: Layout = "channels_last",
    precision: Precisions = None,
    sharding: NamedSharding | None = None,
) -> Array:
    """Return y[n, i, k] = Σ_{a,c} x̂[n, s·i + d·a − low, c] · w[a, c, k].

    Windows move by s, their elements are d apart, and those of x are e apart.
    """
    # Pass `spec.padding`, and not `spec.covering`, which ends with the last window: cuDNN takes
    # only equal padding on both sides, and for any other XLA makes a copy. 3×3 with stride 2 and
    # padding 1, 1024×32×32×64, takes 0.17 ms on an H100 with equal padding and 0.37 ms without.
    return _convolve(
        x, w, layout, precision, window_strides=spec.stride, padding=spec.padding,
        lhs_dilation=spec.input_dilation, rhs_dilation=spec.dilation,
        feature_group_count=spec.groups, out_sharding=sharding,
    )  # fmt: skip


def input_gradient(
    spec: ConvSpec,
    w: Array,
    dy: Array,
    *,
    layout: Layout = "channels_last",
    precision: Precisions = None,
    sharding: NamedSharding | None = None,
) -> Array:
    """Return dx[n, p, c] = Σ_{i,a,k : s·i + d·a − low = e·p} dy[n, i, k] · w[a, c, k].

    Solve for the position in dy: s·i = e·p + low − d·a. Spread the elements of dy s apart, with
    zeros between them, and read the kernel backwards, a = K−1−a'. Then

        dx[p] = Σ_{a'} dy_spread[e·p − (d·(K−1) − low) + d·a'] · w[K−1−a'],

    which is a correlation of stride e and padding d·(K−1) − low with rot180(w), whose input and
    output channels are exchanged. The high padding is whatever gives n positions.
    """
    padding = []
    for n, o, s, span, (low, _) in zip(
        spec.dilated_size, spec.output, spec.stride, spec.extent, spec.padding, strict=True
    ):
        before = span - 1 - low
        spread = s * (o - 1) + 1
        padding.append((before, n + span - 1 - before - spread))
    return _convolve(
        dy, rot180(swap_channels(w, spec.groups, layout), layout), layout, precision,
        window_strides=spec.input_dilation, padding=padding, lhs_dilation=spec.stride,
        rhs_dilation=spec.dilation, feature_group_count=spec.groups, out_sharding=sharding,
    )  # fmt: skip


def kernel_gradient(
    spec: ConvSpec,
    x: Array,
    dy: Array,
    *,
    layout: Layout = "channels_last",
    precision: Precisions = None,
    sharding: NamedSharding | None = None,
) -> Array:
    """Return dw[a, c, k] = Σ_{n,i} x̂[n, s·i + d·a − low, c] · dy[n, i, k].

    Here i is summed and a remains, so the two exchange their parts: dy, with its elements s apart,
    slides over x in steps of d. The batch is summed and the channels remain, so these exchange
    their parts too: x is read as C images of N channels, and dy as a kernel from N channels to
    C_out. (With groups, each group of images meets its own part of dy.)
    """
    padding = []
    for n, o, k, s, d, (low, _) in zip(
        spec.dilated_size, spec.output, spec.window, spec.stride, spec.dilation, spec.padding,
        strict=True,
    ):  # fmt: skip
        reach = d * (k - 1) + s * (o - 1) + 1
        padding.append((low, reach - n - low))
    images, kernels = _specs(spec.dims, layout)
    exchanged = lax.ConvDimensionNumbers(
        lhs_spec=(images[1], images[0], *images[2:]),
        rhs_spec=(images[1], images[0], *images[2:]),
        out_spec=(kernels[1], kernels[0], *kernels[2:]),
    )
    return _convolve(
        x, dy, layout, precision, window_strides=spec.dilation, padding=padding,
        lhs_dilation=spec.input_dilation, rhs_dilation=spec.stride,
        batch_group_count=spec.groups, dimension_numbers=exchanged, out_sharding=sharding,
    )  # fmt: skip


def _convolve(
    lhs: Array,
    rhs: Array,
    layout: Layout,
    precision: Precisions,
    *,
    padding: Sequence[tuple[int, int]],
    dimension_numbers: lax.ConvDimensionNumbers | None = None,
    **numbers: Any,
) -> Array:
    """Return `lax.conv_general_dilated` in this layout; 16-bit floats give a float32 sum."""
    if dimension_numbers is None:
        images, kernels = _specs(lhs.ndim - 2, layout)
        dimension_numbers = lax.ConvDimensionNumbers(images, kernels, images)
    lhs, padding = _cut(lhs, dimension_numbers.lhs_spec[2:], padding, numbers["lhs_dilation"])
    padding, more = _one_more(lhs, rhs, dimension_numbers, padding, numbers)
    y = lax.conv_general_dilated(
        lhs,
        rhs,
        padding=padding,
        **numbers,
        dimension_numbers=dimension_numbers,
        precision=precision,
        preferred_element_type=accumulator(lhs.dtype),
    )
    for axis in more:
        y = lax.slice_in_dim(y, 0, y.shape[axis] - 1, axis=axis)
    return y


def _one_more(
    lhs: Array,
    rhs: Array,
    dimension_numbers: lax.ConvDimensionNumbers,
    padding: Sequence[tuple[int, int]],
    numbers: Options,
) -> tuple[list[tuple[int, int]], list[int]]:
    """Pad dilated, unpadded dimensions for one more window, if another one has a single element.

    Without it XLA's CPU compiler ends the whole process (JAX 0.10.2 and 0.12.0) if windows reach
    beyond that element, for example for dx of 2×2 windows with stride 2 and padding
    ((1, 1), (0, 0)) over 4×3 elements.

    Returns:
        The padding, and the axes of the result from which the last window has to be cut off.
    """
    axes = dimension_numbers.lhs_spec[2:]
    single = {
        axis
        for axis, k, pair in zip(axes, dimension_numbers.rhs_spec[2:], padding, strict=True)
        if lhs.shape[axis] == 1 and (rhs.shape[k] != 1 or tuple(pair) != (0, 0))
    }
    padded, more = list(padding), []
    for number, (axis, e) in enumerate(zip(axes, numbers["lhs_dilation"], strict=True)):
        if single - {axis} and e > 1 and tuple(padding[number]) == (0, 0):
            padded[number] = (0, numbers["window_strides"][number])
            more.append(dimension_numbers.out_spec[2 + number])
    return padded, more


def _cut(
    lhs: Array, axes: Sequence[int], padding: Sequence[tuple[int, int]], dilation: Ints
) -> tuple[Array, list[tuple[int, int]]]:
    """Cut off negative low padding beforehand, in dimensions that are padded at their high end.

    There XLA's CPU backend reads outside the array, and the result is silently wrong (float32, JAX
    0.10.0 and 0.10.2; 0.12.0 is right). dx meets this case, with autodiff too, if the low padding
    is larger than d·(K−1) and the high padding smaller: 3 elements, padding (3, 1).
    """
    cut, kept = [(0, 0, 0)] * lhs.ndim, []
    for axis, (low, high), e in zip(axes, padding, dilation, strict=True):
        cuts = isinstance(low, int) and low < 0
        if e == 1 and cuts and not (isinstance(high, int) and high <= 0):
            size = lhs.shape[axis]
            most = max(low, -size) if isinstance(size, int) else low
            cut[axis] = (most, 0, 0)
            low, high = 0, high + low - most
        kept.append((low, high))
    return lax.pad(lhs, jnp.zeros((), lhs.dtype), cut) if any(map(any, cut)) else lhs, kept


def _specs(dims: int, layout: Layout) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the axes of images (N, C, *spatial) and kernels (C_out, C_in, *window), for lax."""
    spatial, channels = spatial_axes(dims, layout)
    images = (0, channels, *spatial)
    last = dims + 1
    return images, (last, last - 1, *range(dims)) if layout == "channels_last" else images


def _form(contraction: Contraction, compute: Callable[..., Array]) -> Form:
    def run(spec: ConvSpec, left: Array, right: Array, inner: Inner) -> Array:
        return compute(spec, left, right, precision=inner.precision)

    return Form(
        name="plain",
        contraction=contraction,
        platforms=(),
        when="always",
        applies=lambda spec, batch, dtype: True,
        run=run,
        input_dilation=True,
    )


FORMS = (
    _form("correlate", correlate),
    _form("input_gradient", input_gradient),
    _form("kernel_gradient", kernel_gradient),
)
