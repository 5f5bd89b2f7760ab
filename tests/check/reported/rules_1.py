"""Convolution, pooling and resampling."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from check.reported.wrong import TRANSFORMS, Wrong, normal, normals, traced, with_backward
from jax import lax

LAYOUT = ("NCHW", "OIHW", "NCHW")


def conv(x, w, stride=1, padding=((0, 0), (0, 0)), groups=1):
    return lax.conv_general_dilated(
        x, w, (stride, stride), padding, dimension_numbers=LAYOUT, feature_group_count=groups
    )


# The kernel of a grouped convolution is not turned round for the gradient of the input.
def grouped(x, w):
    return conv(x, w, groups=2)


def grouped_backward(args, dy):
    x, w = args
    (dx,) = jax.vjp(lambda x: grouped(x, w[:, :, ::-1, ::-1]), x)[1](dy)
    (dw,) = jax.vjp(lambda w: grouped(x, w), w)[1](dy)
    return dx, dw


# The input of a grouped convolution is regrouped wrongly for the gradient of the weight.
def regrouped_backward(args, dy):
    x, w = args
    n, c, height, width = x.shape
    mixed = x.reshape(n, c // 2, 2, height, width).swapaxes(1, 2).reshape(x.shape)
    (dx,) = jax.vjp(lambda x: grouped(x, w), x)[1](dy)
    (dw,) = jax.vjp(lambda w: grouped(mixed, w), w)[1](dy)
    return dx, dw


# A strided grouped convolution falls through to the dense kernel.
def strided(x, w):
    return conv(x, w, stride=2, groups=2)


def strided_backward(args, dy):
    x, w = args
    half = x[:, : w.shape[1]]
    (dense,) = jax.vjp(lambda x: conv(x, w, stride=2), half)[1](dy)
    (dw,) = jax.vjp(lambda w: strided(x, w), w)[1](dy)
    return jnp.concatenate([dense, dense], axis=1), dw


# Stride and dilation of a transposed convolution change places.
def transposed(x, w):
    dilated = jnp.zeros((x.shape[0], x.shape[1], 2 * x.shape[2] - 1), x.dtype)
    dilated = dilated.at[:, :, ::2].set(x)
    return lax.conv_general_dilated(
        dilated, w[:, :, ::-1], (1,), [(2, 2)], dimension_numbers=("NCH", "IOH", "NCH")
    )


def transposed_backward(args, dy):
    x, w = args
    dx = lax.conv_general_dilated(
        dy, w, (1,), "VALID", rhs_dilation=(2,), dimension_numbers=("NCH", "OIH", "NCH")
    )
    (dw,) = jax.vjp(lambda w: transposed(x, w), w)[1](dy)
    return dx[:, :, : x.shape[2]], dw


# Average pooling whose windows skip elements.
def dilated_mean(x):
    return (x[..., :-4] + x[..., 2:-2] + x[..., 4:]) / 3


def dilated_mean_backward(args, dy):
    (x,) = args
    dx = jnp.zeros_like(x)
    for k in range(3):
        dx = dx.at[..., k : k + dy.shape[-1]].add(dy / 3)
    return (dx,)


# Maximum pooling with overlapping windows.
WINDOW, STEP = 3, 2


def starts(size):
    return np.arange(0, size - WINDOW + 1, STEP)


def max_pool(x):
    return jnp.stack([x[..., s : s + WINDOW].max(-1) for s in starts(x.shape[-1])], -1)


def max_pool_last_backward(args, dy):
    (x,) = args
    dx = jnp.zeros_like(x)
    position = jnp.arange(x.shape[-1])
    for j, s in enumerate(starts(x.shape[-1])):
        winner = s + jnp.argmax(x[..., s : s + WINDOW], -1)
        dx = jnp.where(position == winner[..., None], dy[..., j : j + 1], dx)
    return (dx,)


def max_pool_gate_backward(args, dy):
    (x,) = args
    size = x.shape[-1]
    gate, total = jnp.zeros_like(x), jnp.zeros_like(x)
    position = np.arange(size)
    for j, s in enumerate(starts(size)):
        inside = (position >= s) & (position < s + WINDOW)
        won = x == x[..., s : s + WINDOW].max(-1, keepdims=True)
        gate = jnp.where(inside, won, gate)
        total = total + inside * dy[..., j : j + 1]
    return (gate * total,)


# Maximum pooling with padding.
def max_pool_padded(x):
    padded = jnp.pad(x, ((0, 0), (1, 1)), constant_values=-jnp.inf)
    return jnp.stack([padded[:, s : s + 2].max(-1) for s in range(0, padded.shape[1] - 1, 2)], -1)


def max_pool_padded_backward(args, dy):
    (x,) = args
    y = max_pool_padded(x)
    dx = jnp.zeros_like(x)
    for j in range(y.shape[-1]):
        for position in (2 * j, 2 * j + 1):
            if position < x.shape[1]:
                won = x[:, position] == y[:, j]
                dx = dx.at[:, position].add(jnp.where(won, dy[:, j], 0.0))
    return (dx,)


# Average pooling whose last window hangs over the edge.
def mean_ceil(x):
    windows = [x[..., s : s + 3].mean(-1) for s in range(0, x.shape[-1] - 1, 2)]
    return jnp.stack(windows, -1)


def mean_ceil_full(args, dy):
    (x,) = args
    dx = jnp.zeros_like(x)
    for j in range(dy.shape[-1]):
        dx = dx.at[..., 2 * j : 2 * j + 3].add(dy[..., j : j + 1] / 3)
    return (dx,)


def mean_ceil_compiled(args, dy):
    (x,) = args
    if traced(x, dy):
        return mean_ceil_full(args, dy)
    return jax.vjp(mean_ceil, x)[1](dy)


# Adaptive average pooling.
def adaptive_windows(size, out):
    return [(k * size // out, -(-(k + 1) * size // out)) for k in range(out)]


def adaptive_mean(x):
    return jnp.stack([x[..., a:b].mean(-1) for a, b in adaptive_windows(x.shape[-1], 4)], -1)


def adaptive_backward(args, dy):
    (x,) = args
    size = -(-x.shape[-1] // 4)
    dx = jnp.zeros_like(x)
    for k, (a, b) in enumerate(adaptive_windows(x.shape[-1], 4)):
        dx = dx.at[..., a:b].add(dy[..., k : k + 1] / size)
    return (dx,)


# Reflecting padding.
def reflected(x):
    return jnp.pad(x, ((0, 0), (3, 2)), mode="reflect")


def reflected_backward(args, dy):
    (x,) = args
    if traced(x, dy):
        return (dy[:, 3:-2],)
    return jax.vjp(reflected, x)[1](dy)


# Linear resizing with aligned corners.
def resize_weights(size, out):
    at = np.arange(out) * (size - 1) / (out - 1)
    return np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(size)[None, :]))


def resize(x):
    return x @ resize_weights(x.shape[-1], 24).T


def resize_backward(args, dy):
    (x,) = args
    size, out = x.shape[-1], dy.shape[-1]
    centre = np.arange(size) * (out - 1) / (size - 1)
    near = np.abs(np.arange(out)[:, None] - centre[None, :]) <= out / size
    return (dy @ (resize_weights(size, out) * near),)


# Doubling of an image by bilinear interpolation, without aligned corners.
def double_weights(size):
    at = np.clip((np.arange(2 * size) + 0.5) / 2 - 0.5, 0, size - 1)
    return np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(size)[None, :]))


def double(x):
    rows, columns = double_weights(x.shape[1]), double_weights(x.shape[2])
    return jnp.einsum("ph,nhw,qw->npq", rows, x, columns)


def double_backward(args, dy):
    (x,) = args
    moved = jnp.pad(dy, ((0, 0), (0, 0), (0, 1)))[:, :, 1:]
    return jax.vjp(double, x)[1](moved)


# Sampling of a line of numbers at given places, reflected at the ends.
def sample(line, at):
    last = line.shape[0] - 1
    inside = last - jnp.abs(last - jnp.abs(at))
    left = jnp.clip(jnp.floor(inside).astype(int), 0, last - 1)
    part = inside - left
    return (1 - part) * line[left] + part * line[left + 1]


def sample_backward(args, dy):
    line, at = args
    last = line.shape[0] - 1
    inside = last - jnp.abs(last - jnp.abs(at))
    left = jnp.clip(jnp.floor(inside).astype(int), 0, last - 1)
    (dline,) = jax.vjp(lambda line: sample(line, at), line)[1](dy)
    return dline, dy * (line[left + 1] - line[left])


# One element taken by a slice with steps.
def one_of_span(x):
    return x[:, 1:6:5] * 1.0


def one_of_span_backward(args, dy):
    (x,) = args
    return (jnp.zeros_like(x).at[:, 1:6].set(jnp.broadcast_to(dy, (x.shape[0], 5))),)


CONV = normals(1, (2, 4, 7, 6), (6, 2, 3, 3))
PLACES = np.array([0.3, 2.6, -1.4, 5.2, 8.7, 9.4, -0.6, 6.9])

RULES = [
    Wrong(
        "conv_grouped_flip",
        "ml-explore/mlx#1449: flipped grouped convolutions were wrong",
        with_backward(grouped, grouped_backward),
        CONV,
        grouped,
        "The kernel of the grouped convolution is not turned round in the gradient of the input.",
        ("spatially_flipped",),
    ),
    Wrong(
        "conv_grouped_regrouped",
        "ml-explore/mlx#2495: the vjp of grouped convolutions transposed the inputs wrongly",
        with_backward(grouped, regrouped_backward),
        CONV,
        grouped,
        "The channels of the input stand in the wrong order in the gradient of the weight.",
        ("channels_exchanged",),
    ),
    Wrong(
        "conv_grouped_strided_dense",
        "ml-explore/mlx#3800: grouped strided conv2d fell through to the dense kernels for dx",
        with_backward(strided, strided_backward),
        CONV,
        strided,
        "The gradient of the input ignores the groups and sums over the outputs of all of them.",
        (),
    ),
    Wrong(
        "conv_transpose_stride",
        "huggingface/candle#2337: stride and dilation changed places in ConvTranspose2D's backward",
        with_backward(transposed, transposed_backward),
        normals(2, (2, 3, 6), (3, 5, 3)),
        transposed,
        "The gradient of the input uses the stride as a dilation and the dilation as a stride.",
        ("stride_forgotten",),
    ),
    Wrong(
        "mean_pool_dilation",
        "deeplearning4j/deeplearning4j#4100: dilation was missing in the subsampling backward",
        with_backward(dilated_mean, dilated_mean_backward),
        (normal(3, 2, 3, 11),),
        dilated_mean,
        "The gradient is spread over neighbouring elements, though the window skips every second.",
        ("dilation_forgotten",),
    ),
    Wrong(
        "max_pool_assigned",
        "FluxML/NNlib.jl#205: the gradient of overlapping windows was assigned, not added",
        with_backward(max_pool, max_pool_last_backward),
        (normal(4, 3, 4, 11),),
        max_pool,
        "Where windows overlap, only the last window that an element wins gives it a gradient.",
        ("last_window_only",),
    ),
    Wrong(
        "max_pool_gate",
        "ahrefs/ocannl#512: a gate overwritten by the last window routed every window's gradient",
        with_backward(max_pool, max_pool_gate_backward),
        (normal(5, 3, 11),),
        max_pool,
        "Whether an element won is kept for the last window alone and used for all its windows.",
        ("last_window_only",),
    ),
    Wrong(
        "max_pool_padding",
        "FluxML/NNlib.jl#133: bad gradient for pooling with padding",
        with_backward(max_pool_padded, max_pool_padded_backward),
        (normal(6, 4, 7),),
        max_pool_padded,
        "The windows of the backward pass start without the padding, one element too late.",
        ("padding_forgotten", "shifted", "border_wrong"),
    ),
    Wrong(
        "mean_pool_ceil",
        "tracel-ai/burn#5604: the backward divided the overhanging window by the full kernel",
        with_backward(mean_ceil, mean_ceil_full),
        (normal(7, 2, 3, 8),),
        mean_ceil,
        "The last window is divided by the full window size, not by the elements it holds.",
        ("border_wrong", "rows_wrong"),
    ),
    Wrong(
        "mean_pool_ceil_compiled",
        "pytorch/pytorch#198119: only the compiled avg_pool backward divided by the full kernel",
        with_backward(mean_ceil, mean_ceil_compiled),
        (normal(8, 3, 2, 8),),
        mean_ceil,
        "Only when compiled, the last window is divided by the full window size.",
        ("compiled_only",),
        TRANSFORMS,
    ),
    Wrong(
        "adaptive_mean_pool",
        "PaddlePaddle/Paddle#74077: adaptive_avg_pool2d's backward used one size for all windows",
        with_backward(adaptive_mean, adaptive_backward),
        (normal(9, 3, 11),),
        adaptive_mean,
        "Every window is divided by the same size, though the windows differ in size.",
        (),
    ),
    Wrong(
        "pad_reflect_compiled",
        "pytorch/pytorch#100793: only the compiled backward of reflecting padding was wrong",
        with_backward(reflected, reflected_backward),
        (normal(10, 3, 7),),
        reflected,
        "Only when compiled, the gradients of the reflected elements are lost.",
        ("compiled_only", "border_wrong"),
        TRANSFORMS,
    ),
    Wrong(
        "resize_window",
        "flagos-ai/FlagGems#5218: upsample_linear1d's backward scanned too few outputs",
        with_backward(resize, resize_backward),
        (normal(11, 4, 3),),
        resize,
        "The outputs that are far from an input, but still depend on it, are left out.",
        ("band_wrong",),
    ),
    Wrong(
        "resize_column",
        "intel/torch-xpu-ops#4380: the output column was computed from the height",
        with_backward(double, double_backward),
        (normal(12, 2, 6, 4),),
        double,
        "The gradient is gathered one column beside the right one.",
        ("shifted",),
    ),
    Wrong(
        "sample_reflect",
        "ooples/AiDotNet.Tensors#22: the grid gradient misses the derivative of the padding",
        with_backward(sample, sample_backward),
        (normal(13, 8), PLACES),
        sample,
        "Outside the line the derivative of the reflection is taken for one instead of minus one.",
        ("mask_threshold", "border_wrong"),
    ),
    Wrong(
        "slice_span",
        "ml-explore/mlx#4444: a strided slice of one element spread its gradient over the span",
        with_backward(one_of_span, one_of_span_backward),
        (normal(14, 3, 7),),
        one_of_span,
        "The gradient of the one element goes to all elements that the step jumps over.",
        ("stride_forgotten",),
    ),
]
