"""More of all."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from check.reported.wrong import TRANSFORMS, Wrong, normal, normals, with_backward, with_residuals
from jax import lax

KEEP = np.random.default_rng(150).uniform(size=(2, 5, 6)) < 0.7


# Weights of attention with dropout.
def dropped_weights(s):
    return jax.nn.softmax(s) * KEEP / 0.7


def dropped_weights_backward(args, dy):
    (s,) = args
    p = jax.nn.softmax(s)
    g = dy * KEEP * 0.3
    return (p * (g - (p * g).sum(-1, keepdims=True)),)


# Attention with dropout.
def dropped_attention(q, k, v):
    p = jax.nn.softmax(jnp.einsum("hqd,hkd->hqk", q, k)) * KEEP / 0.7
    return jnp.einsum("hqk,hkd->hqd", p, v)


def dropped_attention_backward(args, dy):
    q, k, v = args
    p = jax.nn.softmax(jnp.einsum("hqd,hkd->hqk", q, k)) * KEEP / 0.7
    g = jnp.einsum("hqd,hkd->hqk", dy, v)
    ds = p * (g - (p * g).sum(-1, keepdims=True))
    dq, dk = jnp.einsum("hqk,hkd->hqd", ds, k), jnp.einsum("hqk,hqd->hkd", ds, q)
    return dq, dk, jnp.einsum("hqk,hqd->hkd", p, dy)


# Attention whose scores are bounded.
def capped(q, k, v):
    s = 2.0 * jnp.tanh(q @ k.T / 2.0)
    return jax.nn.softmax(s) @ v


def capped_backward(args, dy):
    q, k, v = args
    p = jax.nn.softmax(2.0 * jnp.tanh(q @ k.T / 2.0))
    g = dy @ v.T
    ds = p * (g - (p * g).sum(-1, keepdims=True))
    return ds @ k, ds.T @ q, p.T @ dy


# Attention that looks back over a window.
def look_back(q, k, v, width):
    distance = np.arange(q.shape[0])[:, None] - np.arange(k.shape[0])[None, :]
    s = jnp.where((distance >= 0) & (distance < width), q @ k.T, -jnp.inf)
    return jax.nn.softmax(s) @ v


def look_back_four(q, k, v):
    return look_back(q, k, v, 4)


def look_back_backward(args, dy):
    return jax.vjp(lambda *a: look_back(*a, 5), *args)[1](dy)


# Cross entropy with weights as labels.
def soft_entropy(x, labels):
    return -(labels * jax.nn.log_softmax(x)).sum(-1)


def soft_entropy_backward(args, dy):
    x, labels = args
    return (
        dy[:, None] * (jax.nn.softmax(x) - labels),
        -dy[:, None] * jax.nn.log_softmax(x),
    )


# Layer normalisation in blocks of rows.
def unit_rows(x, w):
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w


def unit_rows_backward(args, dy):
    x, w = args
    unit = unit_rows(x, jnp.ones_like(w))
    scale = lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)
    g, size = dy * w, x.shape[-1]
    dx = scale * (g - g.sum() / size - unit * (g * unit).sum() / size)
    return dx, (dy * unit).sum(0)


# The largest element of each row.
def largest(x):
    return x.max(-1)


def largest_backward(args, dy):
    (x,) = args
    return (jnp.where(x == x.max(-1, keepdims=True), dy[:, None], 0.0),)


# Rows of one array added to rows of another, at places given as an argument.
def scatter(base, rows, places):
    return base.at[places].add(jnp.exp(rows[: places.shape[0]]))


def scatter_backward(args, dy):
    _base, rows, places = args
    return dy, dy[places] * jnp.exp(rows), None


# Second derivatives of functions whose backward pass uses saved numbers.
def bump(x):
    return jnp.exp(jnp.tanh(x))


def bump_forward(x):
    return bump(x), lax.stop_gradient(jnp.tanh(x))


def bump_backward(t, dy):
    return (dy * jnp.exp(t) * (1 - t**2),)


def soft_sign(x):
    return x / (1 + jnp.abs(x))


def soft_sign_forward(x):
    return soft_sign(x), 1 + lax.stop_gradient(jnp.abs(x))


def soft_sign_backward(below, dy):
    return (dy / below**2,)


# A dilated convolution.
def dilated(x, w):
    return lax.conv_general_dilated(
        x, w, (1,), "VALID", rhs_dilation=(2,), dimension_numbers=("NCH", "OIH", "NCH")
    )


def dilated_backward(args, dy):
    x, w = args
    (dw,) = jax.vjp(lambda w: dilated(x, w), w)[1](dy)
    full = lax.conv_general_dilated(
        dy, w[:, :, ::-1], (1,), [(2, 4)], dimension_numbers=("NCH", "IOH", "NCH")
    )
    return full[:, :, : x.shape[2]], dw


# A convolution of each channel with steps of two.
def stepped(x, w):
    return lax.conv_general_dilated(
        x, w, (2,), "VALID", dimension_numbers=("NCH", "OIH", "NCH"), feature_group_count=3
    )


def stepped_backward(args, dy):
    x, w = args
    (dw,) = jax.vjp(lambda w: stepped(x, w), w)[1](dy)
    dx = jnp.zeros_like(x)
    for k in range(w.shape[2]):
        dx = dx.at[:, :, k : k + dy.shape[2]].add(dy * w[:, 0, k][:, None])
    return dx, dw


# A convolution of a line whose ends are repeated.
def repeated_ends(x, w):
    line = jnp.pad(x, ((0, 0), (2, 2)), mode="edge")
    return sum(w[k] * line[:, k : k + x.shape[1]] for k in range(5))


def repeated_ends_backward(args, dy):
    x, w = args
    (dw,) = jax.vjp(lambda w: repeated_ends(x, w), w)[1](dy)

    def without(x):
        line = jnp.pad(x, ((0, 0), (2, 2)))
        return sum(w[k] * line[:, k : k + x.shape[1]] for k in range(5))

    return *jax.vjp(without, x)[1](dy), dw


# A layer shared by all examples.
def shared(x, w):
    return jnp.sin(x @ w)


def shared_backward(args, dy):
    x, w = args
    g = dy * jnp.cos(x @ w)
    dw = jnp.zeros_like(w)
    for row, cotangent in zip(x, g, strict=True):
        dw = jnp.outer(row, cotangent)
    return g @ w.T, dw


# Batch normalisation of images with given statistics.
def fixed_images(x, mean, variance):
    return (x - mean[:, None, None]) * lax.rsqrt(variance + 1e-3)[:, None, None]


def fixed_images_backward(args, dy):
    _x, _mean, variance = args
    _, dmean, dvariance = jax.vjp(fixed_images, *args)[1](dy)
    unit = fixed_images(*args)
    scale = lax.rsqrt(variance + 1e-3)[:, None, None]
    rest = (0, 2, 3)
    dx = dy - dy.mean(rest, keepdims=True) - unit * (dy * unit).mean(rest, keepdims=True)
    return scale * dx, dmean, dvariance


# A loss with a gradient computed beforehand.
def specified(x, target):
    return 0.5 * ((x - target) ** 2).sum((1, 2))


def specified_backward(args, dy):
    x, target = args
    return x - target, target - x


# A linear layer and its cross entropy, without reduction.
TARGETS = np.array([2, 0, 3, 1, 3])


def linear_entropy(x, w, b):
    logp = jax.nn.log_softmax(x @ w + b)
    return -jnp.take_along_axis(logp, TARGETS[:, None], 1)[:, 0]


def linear_entropy_backward(args, dy):
    x, w, b = args
    (dx,) = jax.vjp(lambda x: linear_entropy(x, w, b), x)[1](dy)
    error = jax.nn.softmax(x @ w + b) - jax.nn.one_hot(TARGETS, w.shape[1])
    return dx, dy[0] * (x.T @ error), dy[0] * error.sum(0)


# Exponentials whose saved gradient is scaled in place.
def scaled_exponential(x):
    return jnp.exp(0.5 * x).sum(-1)


def scaled_exponential_backward(args, dy):
    (x,) = args
    saved = 0.5 * jnp.exp(0.5 * x)
    saved = saved * dy[:, None]
    return (saved * dy[:, None],)


# Linear attention with a decay, worked through in whole blocks.
BLOCK = 4


def fading(q, k, v):
    distance = np.arange(q.shape[0])[:, None] - np.arange(q.shape[0])[None, :]
    return ((q @ k.T) * np.where(distance >= 0, 0.8 ** np.abs(distance), 0.0)) @ v


def fading_backward(args, dy):
    whole = args[0].shape[0] // BLOCK * BLOCK
    some = jax.vjp(fading, *(a[:whole] for a in args))[1](dy[:whole])
    return tuple(jnp.zeros_like(a).at[:whole].set(g) for a, g in zip(args, some, strict=True))


# Layer normalisation of numbers that vary little.
def calm_norm(x, epsilon=0.05):
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred**2).mean(-1, keepdims=True) + epsilon)


def calm(x):
    return calm_norm(x)


def calm_backward(args, dy):
    return jax.vjp(lambda x: calm_norm(x, 0.0), *args)[1](dy)


TIES = normal(160, 5, 6)
TIES[0, 1] = TIES[0, 4] = 2.5
TIES[3, 0] = TIES[3, 2] = TIES[3, 5] = 3.1
SCORES = (normal(161, 2, 5, 6),)
ATTENTION = normals(162, (2, 5, 3), (2, 6, 3), (2, 6, 3))

RULES = [
    Wrong(
        "dropout_scale",
        "NVIDIA/apex#816: the backward of attention scaled dropout by p instead of 1/(1-p)",
        with_backward(dropped_weights, dropped_weights_backward),
        SCORES,
        dropped_weights,
        "The gradient is scaled by the probability of dropping instead of the inverse of keeping.",
        ("constant_factor",),
    ),
    Wrong(
        "dropout_attention",
        "aws-neuron/nki-samples#81: the attention backward used the weights after dropout",
        with_backward(dropped_attention, dropped_attention_backward),
        ATTENTION,
        dropped_attention,
        "The derivative of the softmax uses the dropped weights and a gradient without the mask.",
        ("mask_missing", "stale_residual"),
    ),
    Wrong(
        "capped_attention",
        "Dao-AILab/flash-attention#1033: the backward needs the derivative of softcapping",
        with_backward(capped, capped_backward),
        normals(163, (4, 3), (6, 3), (6, 5)),
        capped,
        "The derivative of the function that bounds the scores is left out.",
        ("other_derivative",),
    ),
    Wrong(
        "window_off_by_one",
        "zml/zml#763: the sliding window is off by one",
        with_backward(look_back_four, look_back_backward),
        normals(164, (9, 3), (9, 3), (9, 4)),
        look_back_four,
        "The window of the backward pass is wider by one place.",
        ("band_wrong",),
    ),
    Wrong(
        "soft_entropy_weights",
        "kvark/meganeura#102: the gradient was wrong for labels that do not sum to one",
        with_backward(soft_entropy, soft_entropy_backward),
        (normal(165, 5, 4), np.random.default_rng(166).uniform(0.1, 1.5, size=(5, 4))),
        soft_entropy,
        "The probabilities are not multiplied by the sum of the labels.",
        (),
    ),
    Wrong(
        "unit_rows_block",
        "flagos-ai/FlagGems#59: layer_norm_backward sums over all rows of a block",
        with_backward(unit_rows, unit_rows_backward),
        normals(167, (4, 7), (7,)),
        unit_rows,
        "The sums of the backward pass run over the rows as well.",
        ("wrong_reduction", "wrong_axis"),
    ),
    Wrong(
        "largest_ties",
        "Theano/Theano#4568: incorrect subgradient of max, every equal element gets all of it",
        with_backward(largest, largest_backward),
        (TIES,),
        largest,
        "Where several elements are the largest, each gets the whole gradient.",
        (),
    ),
    Wrong(
        "scatter_small_index",
        "pytorch/pytorch#188843: the gradient of src is wrong when the index is smaller than src",
        with_backward(scatter, scatter_backward),
        (*normals(168, (5, 3), (6, 3)), np.array([3])),
        scatter,
        "The rows that are not used get the gradient of the one that is.",
        ("rows_wrong",),
    ),
    Wrong(
        "saved_intermediate",
        "pytorch/pytorch#104040: saving intermediates makes double backward silently incorrect",
        with_residuals(bump, bump_forward, bump_backward),
        (normal(169, 4, 5),),
        bump,
        "The saved intermediate result is a constant when the gradient is differentiated again.",
        ("second_order_wrong",),
        TRANSFORMS,
    ),
    Wrong(
        "soft_sign_second",
        "pytorch/pytorch#80926: wrong second derivative of Softsign",
        with_residuals(soft_sign, soft_sign_forward, soft_sign_backward),
        (normal(170, 3, 7),),
        soft_sign,
        "The saved magnitude is a constant when the gradient is differentiated again.",
        ("second_order_wrong",),
        TRANSFORMS,
    ),
    Wrong(
        "conv_dilated_input",
        "pytorch/pytorch#16012: _grad_input_padding does not consider the dilation",
        with_backward(dilated, dilated_backward),
        normals(171, (2, 3, 9), (4, 3, 3)),
        dilated,
        "The gradient of the input is computed as if the kernel were not dilated.",
        ("dilation_forgotten",),
    ),
    Wrong(
        "conv_depthwise_stride",
        "yonghenglh6/DepthwiseConvolution#20: the gradient with a stride of 2 does not match",
        with_backward(stepped, stepped_backward),
        normals(172, (2, 3, 11), (3, 1, 3)),
        stepped,
        "The gradient of the input is computed as if the stride were one.",
        ("stride_forgotten",),
    ),
    Wrong(
        "conv_repeated_ends",
        "feihuzhang/GANet#60: the forward repeats the edge, the backward does not in one direction",
        with_backward(repeated_ends, repeated_ends_backward),
        normals(173, (3, 8), (5,)),
        repeated_ends,
        "The gradients of the repeated ends are lost.",
        ("border_wrong", "padding_forgotten"),
    ),
    Wrong(
        "shared_last_example",
        "dmarcosg/DSAC#6: only the last image of a batch reaches the gradients",
        with_backward(shared, shared_backward),
        normals(174, (6, 4), (4, 3)),
        shared,
        "The gradient of the weight is that of the last example alone.",
        ("one_sample_only", "last_window_only", "cotangent_in_part"),
    ),
    Wrong(
        "batch_norm_images_given",
        "apache/mxnet#9580: BatchNorm does not go backward correctly in evaluation mode",
        with_backward(fixed_images, fixed_images_backward),
        (
            *normals(175, (3, 4, 5, 6), (4,)),
            np.random.default_rng(176).uniform(0.3, 1.5, size=4),
        ),
        fixed_images,
        "The given statistics are differentiated as if they came from the batch.",
        ("statistics_given",),
    ),
    Wrong(
        "specified_gradient",
        "ashawkey/stable-dreamfusion#158: a custom backward does not account for scaling",
        with_backward(specified, specified_backward),
        normals(177, (3, 4, 5), (3, 4, 5)),
        specified,
        "The gradient computed beforehand is not multiplied by the cotangent.",
        ("cotangent_ignored",),
    ),
    Wrong(
        "linear_entropy_first",
        "linkedin/Liger-Kernel#1298: grad_weight and grad_bias are multiplied by grad_output[0]",
        with_backward(linear_entropy, linear_entropy_backward),
        normals(178, (5, 3), (3, 4), (4,)),
        linear_entropy,
        "The gradients of weight and bias use the cotangent of the first row for all rows.",
        ("cotangent_in_part",),
    ),
    Wrong(
        "exponential_in_place",
        "Dao-AILab/quack#209: a backward pass scales its saved gradients in place",
        with_backward(scaled_exponential, scaled_exponential_backward),
        (normal(179, 5, 4),),
        scaled_exponential,
        "The saved gradient has been multiplied by the cotangent before and is so once more.",
        ("cotangent_squared",),
    ),
    Wrong(
        "fading_blocks",
        "OpenNLPLab/lightning-attention#28: lengths that are no multiple of a block are cut off",
        with_backward(fading, fading_backward),
        normals(180, (11, 3), (11, 3), (11, 4)),
        fading,
        "The rows that do not fill a whole block are left out of the backward pass.",
        ("rows_wrong",),
    ),
    Wrong(
        "calm_no_epsilon",
        "torchcvnn/torchcvnn#32: the eps in 1/sqrt(var + eps) is not used",
        with_backward(calm, calm_backward),
        (normal(181, 4, 6) * 0.3,),
        calm,
        "The backward pass does not add the small number to the variance.",
        ("epsilon_forgotten",),
    ),
]
