"""Normalisation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from check.reported.wrong import TRANSFORMS, Wrong, normal, normals, with_backward
from jax import lax

EPS = 1e-5


def standard(x, axis=-1):
    centred = x - x.mean(axis, keepdims=True)
    scale = lax.rsqrt((centred**2).mean(axis, keepdims=True) + EPS)
    return centred * scale, scale


def layer_norm(x, w, b):
    return standard(x)[0] * w + b


def rows(a):
    return tuple(range(a.ndim - 1))


# Layer normalisation of an array with three axes, handled as one with two.
def rank_backward(args, dy):
    x, w, _b = args
    unit, scale = standard(x)
    g = dy * w
    rest = (1, 2)
    dx = scale * (g - g.mean(rest, keepdims=True) - unit * (g * unit).mean(rest, keepdims=True))
    return dx, (dy * unit).sum(rows(x)), dy.sum(rows(x))


# The mean of the gradient is subtracted twice.
def double_mean_backward(args, dy):
    x, w, _b = args
    unit, scale = standard(x)
    g = dy * w
    dx = scale * (g - 2 * g.mean(-1, keepdims=True) - unit * (g * unit).mean(-1, keepdims=True))
    return dx, (dy * unit).sum(rows(x)), dy.sum(rows(x))


# The gradient of the weight is summed in sixteen bits.
def bfloat_weight_backward(args, dy):
    x, w, b = args
    dx, dw, db = jax.vjp(layer_norm, x, w, b)[1](dy)
    unit = standard(x)[0]

    def add(total, row):
        return (total + row.astype(jnp.bfloat16)).astype(jnp.bfloat16), None

    dw, _ = lax.scan(add, jnp.zeros(w.shape, jnp.bfloat16), dy * unit)
    return dx, dw.astype(w.dtype), db


# The buffer of the cotangent already holds the gradient of the input.
def donated_backward(args, dy):
    x, w, b = args
    dx, dw, _ = jax.vjp(layer_norm, x, w, b)[1](dy)
    return dx, dw, dx.sum(rows(x))


# RMS normalisation over groups of channels.
GROUPS = 3


def group_rms(x, w):
    parts = x.reshape(*x.shape[:-1], GROUPS, -1)
    scale = lax.rsqrt((parts**2).mean(-1, keepdims=True) + EPS)
    return (parts * scale).reshape(x.shape) * w


def group_rms_backward(args, dy):
    x, w = args
    parts = x.reshape(*x.shape[:-1], GROUPS, -1)
    scale = lax.rsqrt((parts**2).mean(-1, keepdims=True) + EPS)
    unit = (parts * scale).reshape(x.shape)
    scale = jnp.broadcast_to(scale, parts.shape).reshape(x.shape)
    g = dy * w
    dx = scale * (g - unit * (g * unit).mean(-1, keepdims=True))
    return dx, (dy * unit).sum(rows(x))


def rms_norm(x, w):
    return x * lax.rsqrt((x**2).mean(-1, keepdims=True) + EPS) * w


def rms_twice_backward(args, dy):
    x, w = args
    scale = lax.rsqrt((x**2).mean(-1, keepdims=True) + EPS)
    unit = x * scale
    dx = scale * (dy * w - w * unit * (dy * w * unit).mean(-1, keepdims=True))
    return dx, (dy * unit).sum(rows(x))


def rms_bfloat_backward(args, dy):
    x, w = args
    dx, _ = jax.vjp(rms_norm, x, w)[1](dy)
    unit = x * lax.rsqrt((x**2).mean(-1, keepdims=True) + EPS)
    terms = (dy * unit.astype(jnp.bfloat16)).astype(jnp.bfloat16)
    return dx, terms.sum(rows(x)).astype(w.dtype)


# Group normalisation of images.
def group_norm(x, w, b):
    n, _c, _height, _width = x.shape
    unit = standard(x.reshape(n, 2, -1))[0].reshape(x.shape)
    return unit * w[:, None, None] + b[:, None, None]


def group_norm_backward(args, dy):
    x, w, b = args
    dx, _, _ = jax.vjp(group_norm, x, w, b)[1](dy)
    unit = group_norm(x, jnp.ones_like(w), jnp.zeros_like(b))
    first = (slice(None), slice(None), 0)
    return dx, (dy * unit)[first].sum((0, 2)), dy[first].sum((0, 2))


# Batch normalisation with given statistics.
def fixed_batch_norm(x, w, b, mean, variance):
    return (x - mean) * lax.rsqrt(variance + 1e-2) * w + b


def fixed_as_batch_backward(args, dy):
    x, w, _b, mean, variance = args
    _, dw, db, dmean, dvariance = jax.vjp(fixed_batch_norm, *args)[1](dy)
    scale = lax.rsqrt(variance + 1e-2)
    unit = (x - mean) * scale
    g = dy * w
    dx = scale * (g - g.mean(0) - unit * (g * unit).mean(0))
    return dx, dw, db, dmean, dvariance


def fixed_epsilon_backward(args, dy):
    def without(x, w, b, mean, variance):
        return (x - mean) * lax.rsqrt(variance) * w + b

    return jax.vjp(without, *args)[1](dy)


# The linear layer behind a gated normalisation.
def gated(x, g, w, linear):
    return (rms_norm(x, w) * jax.nn.silu(g)) @ linear


def gated_backward(args, dy):
    x, _g, w, _linear = args
    dx, dg, dw, _ = jax.vjp(gated, *args)[1](dy)
    return dx, dg, dw, rms_norm(x, w).T @ dy


# Vectors of length about one.
SOFT = 0.5


def unit_vectors(x):
    length = jnp.sqrt((x**2).sum(-1, keepdims=True))
    return x / (length + SOFT)


def unit_vectors_reference(x):
    square = (x**2).sum(-1, keepdims=True)
    length = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    return x / (length + SOFT)


def unit_vectors_backward(args, dy):
    (x,) = args
    length = jnp.sqrt((x**2).sum(-1, keepdims=True))
    whole = length + SOFT
    return (dy / whole - x / length * (dy * x).sum(-1, keepdims=True) / whole**2,)


# Standard deviations of rows.
def deviations(x):
    return jnp.sqrt(((x - x.mean(-1, keepdims=True)) ** 2).mean(-1) + EPS)


def deviations_backward(args, dy):
    (x,) = args
    return (dy[:, None] * x / deviations(x)[:, None] / x.shape[-1],)


# Backward passes with their own rule for mapping.
@jax.custom_batching.custom_vmap
def layer_norm_gradient(x, dy):
    return jax.vjp(lambda x: standard(x)[0], x)[1](dy)[0]


@layer_norm_gradient.def_vmap
def _(size, batched, x, dy):
    x, dy = (
        a if is_batched else jnp.broadcast_to(a, (size, *a.shape))
        for a, is_batched in zip((x, dy), batched, strict=True)
    )
    unit, scale = standard(x)
    both = (0, -1)
    dx = scale * (dy - dy.mean(both, keepdims=True) - unit * (dy * unit).mean(both, keepdims=True))
    return dx, True


def plain_layer_norm(x):
    return standard(x)[0]


@jax.custom_batching.custom_vmap
def batch_norm_gradient(x, dy):
    return jax.vjp(lambda x: standard(x, 0)[0], x)[1](dy)[0]


@batch_norm_gradient.def_vmap
def _(size, batched, x, dy):
    x, dy = (
        a if is_batched else jnp.broadcast_to(a, (size, *a.shape))
        for a, is_batched in zip((x, dy), batched, strict=True)
    )
    unit, scale = standard(x, 1)
    scale = jnp.broadcast_to(scale[:1], scale.shape)
    dx = scale * (dy - dy.mean(1, keepdims=True) - unit * (dy * unit).mean(1, keepdims=True))
    return dx, True


def plain_batch_norm(x):
    return standard(x, 0)[0]


NORM = normals(20, (5, 8), (8,), (8,))
RANK3 = normals(21, (4, 3, 6), (6,), (6,))
LONG = normals(22, (12, 7), (7,), (7,))
FIXED = (
    *normals(23, (9, 5), (5,), (5,), (5,)),
    np.random.default_rng(24).uniform(0.02, 0.5, size=5),
)
ZEROED = normal(25, 6, 4)
ZEROED[2] = 0.0

RULES = [
    Wrong(
        "layer_norm_rank",
        "flagos-ai/FlagGems#5392: layer_norm_backward assumes an input with two axes",
        with_backward(layer_norm, rank_backward),
        RANK3,
        layer_norm,
        "The means of the backward pass run over the last two axes instead of the last one.",
        ("wrong_axis", "wrong_reduction"),
    ),
    Wrong(
        "layer_norm_double_mean",
        "tenstorrent/tt-metal#53204: layernorm_bw subtracts the mean of dy * gamma twice",
        with_backward(layer_norm, double_mean_backward),
        NORM,
        layer_norm,
        "The mean of the gradient is subtracted twice.",
        (),
    ),
    Wrong(
        "layer_norm_bfloat_weight",
        "karpathy/llm.c#476: dweight of layernorm was accumulated in bfloat16",
        with_backward(layer_norm, bfloat_weight_backward),
        LONG,
        layer_norm,
        "The gradient of the weight is summed over the rows in sixteen bits.",
        ("precision_lost",),
    ),
    Wrong(
        "layer_norm_donated",
        "ml-explore/mlx#941: the gradient of the bias was wrong when the cotangent was donated",
        with_backward(layer_norm, donated_backward),
        normals(26, (6, 5), (5,), (5,)),
        layer_norm,
        "The gradient of the bias sums the gradient of the input, which has overwritten dy.",
        ("stale_residual",),
    ),
    Wrong(
        "group_rms_whole",
        "state-spaces/mamba#547: group_size was not considered in layer_norm_bwd",
        with_backward(group_rms, group_rms_backward),
        normals(27, (4, 12), (12,)),
        group_rms,
        "The mean of the backward pass runs over the whole axis instead of each group.",
        ("wrong_axis", "wrong_reduction"),
    ),
    Wrong(
        "rms_norm_weight_twice",
        "NVIDIA/Megatron-LM#6859: RMSNorm's variance term was multiplied by the weight twice",
        with_backward(rms_norm, rms_twice_backward),
        normals(28, (5, 7), (7,)),
        rms_norm,
        "The variance term is multiplied by the weight once more than it should be.",
        ("parameter_changed",),
    ),
    Wrong(
        "rms_norm_bfloat_weight",
        "linkedin/Liger-Kernel#950: the block-wise dW of RMSNorm was reduced in bfloat16",
        with_backward(rms_norm, rms_bfloat_backward),
        normals(29, (11, 6), (6,)),
        rms_norm,
        "The terms of the gradient of the weight are rounded to sixteen bits before the sum.",
        ("precision_lost",),
    ),
    Wrong(
        "group_norm_first_row",
        "linkedin/Liger-Kernel#1375: dW and dB of 4-D group norm cover one row of each channel",
        with_backward(group_norm, group_norm_backward),
        normals(30, (3, 4, 5, 6), (4,), (4,)),
        group_norm,
        "The gradients of scale and offset use only the first row of each image.",
        ("cotangent_in_part",),
    ),
    Wrong(
        "batch_norm_given",
        "pytorch/xla#913: batch norm gives a wrong gradient in evaluation mode",
        with_backward(fixed_batch_norm, fixed_as_batch_backward),
        FIXED,
        fixed_batch_norm,
        "The given statistics are differentiated as if they came from the batch.",
        ("statistics_given",),
    ),
    Wrong(
        "batch_norm_no_epsilon",
        "chainer/chainer#2214: fixed_batch_normalization did not add eps to the variance",
        with_backward(fixed_batch_norm, fixed_epsilon_backward),
        FIXED,
        fixed_batch_norm,
        "The backward pass does not add the small number to the variance.",
        ("epsilon_forgotten",),
    ),
    Wrong(
        "gated_norm_recomputed",
        "fla-org/flash-linear-attention#1071: the recomputed output of the norm was not gated",
        with_backward(gated, gated_backward),
        normals(31, (6, 5), (6, 5), (5,), (5, 4)),
        gated,
        "The gradient of the linear weight uses the normalised input without its gate.",
        ("stale_residual", "wrong_point"),
    ),
    Wrong(
        "unit_vectors_zero",
        "chainer/chainer#4765: the backward of normalize computes 0/0 for a zero vector",
        with_backward(unit_vectors, unit_vectors_backward),
        (ZEROED,),
        unit_vectors_reference,
        "For a vector of zeros the backward pass divides zero by zero.",
        ("not_finite",),
    ),
    Wrong(
        "deviation_uncentred",
        "xunhuang1995/AdaIN-style#24: the deviation's backward got the input, not the centred one",
        with_backward(deviations, deviations_backward),
        (normal(32, 5, 9) + 0.7,),
        deviations,
        "The derivative of the standard deviation uses the input without its mean removed.",
        ("wrong_point", "mean_term_missing"),
    ),
    Wrong(
        "layer_norm_mapped",
        "pytorch/functorch#534: layer_norm's batching rule is incorrect for grad_input",
        with_backward(plain_layer_norm, lambda args, dy: (layer_norm_gradient(*args, dy),)),
        (normal(33, 4, 6),),
        plain_layer_norm,
        "Only when mapped, the means of the backward pass run over the mapped axis too.",
        ("batch_wrong",),
        TRANSFORMS,
    ),
    Wrong(
        "batch_norm_mapped",
        "pytorch/functorch#534: batch_norm's batching rule is incorrect for grad_input",
        with_backward(plain_batch_norm, lambda args, dy: (batch_norm_gradient(*args, dy),)),
        (normal(34, 7, 3),),
        plain_batch_norm,
        "Only when mapped, the deviation of the first example is used for all.",
        ("batch_wrong",),
        TRANSFORMS,
    ),
]
