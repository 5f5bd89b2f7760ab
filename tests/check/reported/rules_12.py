"""Wrong gradients of convolutions and of particles, from public reports."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from check.reported.wrong import Wrong, normal, with_backward

GROUPS = 2


def windows_of(x, k):
    """All windows of length k along the last axis, as a new axis before it."""
    length = x.shape[-1] - k + 1
    return jnp.stack([x[..., i : i + length] for i in range(k)], axis=-2)


def grouped_value(x, w):
    """A convolution in two groups: x is (channels, length), w is (out, in per group, k)."""
    out, per_group, k = w.shape
    windows = windows_of(x, k).reshape(GROUPS, per_group, k, -1)
    kernels = w.reshape(GROUPS, out // GROUPS, per_group, k)
    return jnp.einsum("gikl,goik->gol", windows, kernels).reshape(out, -1)


def grouped_backward(args, g):
    x, w = args
    out, per_group, k = w.shape
    length = x.shape[1]
    kernels = w.reshape(GROUPS, out // GROUPS, per_group, k)
    cotangent = g.reshape(GROUPS, out // GROUPS, -1)
    dx = jnp.zeros((GROUPS, per_group, length))
    for i in range(k):
        part = jnp.einsum("gol,goi->gil", cotangent, kernels[..., i])
        dx = dx.at[:, :, i : i + part.shape[-1]].add(part)

    # every channel of x meets the same number of repeated output channels
    repeated = jnp.tile(g, (per_group, 1)).reshape(x.shape[0], out // GROUPS, -1)
    dw = jnp.einsum("ckl,col->cok", windows_of(x, k), repeated)
    dw = dw.reshape(per_group, out, k).transpose(1, 0, 2)
    return dx.reshape(x.shape), dw


grouped = with_backward(grouped_value, grouped_backward)

STRIDE = 2


def strided_value(x, w):
    """A convolution of x (length, in) with w (k, in, out) and a stride of two."""
    k = w.shape[0]
    positions = (x.shape[0] - k) // STRIDE + 1
    return jnp.stack(
        [jnp.einsum("ki,kio->o", x[h * STRIDE : h * STRIDE + k], w) for h in range(positions)]
    )


def strided_backward(args, g):
    x, w = args
    k = w.shape[0]
    dx, dw = jnp.zeros_like(x), jnp.zeros_like(w)
    for h in range(g.shape[0]):
        start = h
        dx = dx.at[start : start + k].add(jnp.einsum("o,kio->ki", g[h], w))
        dw = dw + x[start : start + k][:, :, None] * g[h]
    return dx, dw


strided = with_backward(strided_value, strided_backward)

CELL = 1.3


def pair(r):
    return r * jnp.exp(-r * r)


def pair_slope(r):
    return (1 - 2 * r * r) * jnp.exp(-r * r)


def energies_value(x):
    """For each particle, the sum over all others and over the images in the next cell."""
    distance = x[None, :] - x[:, None]
    others = 1 - jnp.eye(x.shape[0])
    return jnp.sum(others * pair(distance) + pair(distance + CELL), axis=1)


def energies_backward(args, g):
    (x,) = args
    distance = x[None, :] - x[:, None]
    others = 1 - jnp.eye(x.shape[0])
    centre = -jnp.sum(others * pair_slope(distance) + pair_slope(distance + CELL), axis=1)
    neighbours = others * (pair_slope(distance) + pair_slope(distance + CELL))
    return (g * centre + neighbours.T @ g,)


energies = with_backward(energies_value, energies_backward)

RULES = [
    Wrong(
        "grouped_weight",
        "pytorch/pytorch#51430: the weight gradient in nn.grad is wrong with groups > 1",
        grouped,
        (normal(91, 6, 5), normal(92, 4, 3, 2)),
        grouped_value,
        "The channels of x are read as if their groups were the inner axis.",
        ("axes_swapped", "wrong_operand"),
    ),
    Wrong(
        "strided_start",
        "Kulbear/deep-learning-coursera#34: the stride is missing in conv_backward",
        strided,
        (normal(93, 8, 2), normal(94, 3, 2, 2)),
        strided_value,
        "The windows of the backward pass begin one step apart.",
        ("stride_forgotten",),
    ),
    Wrong(
        "periodic_images",
        "lab-cosmo/librascal#115: the gradient counts neighbours that are images of the centre",
        energies,
        (np.array([0.1, 0.7, 1.5, 2.2, 2.9]),),
        energies_value,
        "The distance from a particle to its own image is differentiated.",
        ("step_extra",),
    ),
]
