"""Losses and activations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from check.reported.wrong import TRANSFORMS, Wrong, normal, normals, with_backward
from jax import lax

LABELS = np.array([2, 0, 5, 1, 3, 4])


# Cross entropy, one number for each row.
def cross_entropy(x):
    return -jnp.take_along_axis(jax.nn.log_softmax(x), LABELS[:, None], 1)[:, 0]


def error(x):
    return jax.nn.softmax(x) - jax.nn.one_hot(LABELS, x.shape[1])


def first_cotangent_backward(args, dy):
    return (dy[0] * error(*args),)


def total_cross_entropy(x):
    return cross_entropy(x).sum()


def total_backward(args, dy):
    (x,) = args
    return (dy * error(x) / x.shape[0],)


def frozen_backward(args, dy):
    return (dy[:, None] * lax.stop_gradient(error(*args)),)


# Cross entropy that also returns its linearisation.
def with_error(x):
    return cross_entropy(x), error(x)


def with_error_backward(args, dy):
    dloss, _ = dy
    return (dloss[:, None] * error(*args),)


# Cross entropy of the softmax of something.
def entropy_of_softmax(x):
    return cross_entropy(jax.nn.softmax(x))


def overwritten_backward(args, dy):
    (x,) = args
    p = jax.nn.softmax(x)
    dp = dy[:, None] * error(p)
    p = dp
    return (p * (dp - (p * dp).sum(-1, keepdims=True)),)


# Half of the total variation between two distributions.
def variation(p, q):
    return 0.5 * jnp.abs(p - q).sum(-1)


def variation_backward(args, dy):
    p, q = args
    dp = jnp.where(p > q, 0.5, -0.5) * dy[:, None]
    return dp, -dp


# Mean of squares.
def squares(x, target):
    return ((x - target) ** 2).mean()


def squares_backward(args, dy):
    x, target = args
    flat = jnp.zeros(x.size, x.dtype).at[0].set(dy)
    dx = flat.reshape(x.shape) * 2 * (x - target) / x.size
    return dx, -dx


def squares_half_backward(args, dy):
    x, target = args
    dx = dy * (x - target) / x.size
    return dx, -dx


# Huber's loss.
def huber(x, target):
    d = jnp.abs(x - target)
    return jnp.where(d <= 0.8, 0.5 * d**2, 0.8 * (d - 0.4)).sum(-1)


def huber_backward(args, dy):
    x, target = args
    dx = jnp.clip(x - target, -0.8, 0.8)
    return dx, -dx


def smooth(x, target):
    d = jnp.abs(x - target)
    return jnp.where(d < 0.7, 0.5 * d**2 / 0.7, d - 0.35)


def smooth_backward(args, dy):
    x, target = args
    d = x - target
    dx = dy * jnp.where(d < 0.7, d / 0.7, jnp.sign(d))
    return dx, -dx


# Softplus that becomes the identity above a threshold.
BETA, THRESHOLD = 3.0, 1.0


def softplus(x):
    return jnp.where(BETA * x > THRESHOLD, x, jax.nn.softplus(BETA * x) / BETA)


def softplus_backward(args, dy):
    (x,) = args
    y = softplus(x)
    return (jnp.where(BETA * y > THRESHOLD, dy, dy * jax.nn.sigmoid(BETA * x)),)


def steep(x):
    return jax.nn.softplus(600.0 * x) / 600.0


def steep_backward(args, dy):
    (x,) = args
    e = jnp.exp(600.0 * x)
    return (dy * e / (e + 1),)


def hard_sigmoid(x):
    return jnp.clip(x / 6 + 0.5, 0.0, 1.0)


def hard_sigmoid_backward(args, dy):
    (x,) = args
    return (jnp.where(x < 3, dy / 6, 0.0),)


def leaky(x, slope):
    return jnp.where(x > 0, x, slope * x)


def bent(x):
    return leaky(x, -2.0)


def bent_backward(args, dy):
    (x,) = args
    return (jnp.where(bent(x) > 0, dy, -2.0 * dy),)


def gentle(x):
    return leaky(x, 0.3)


def gentle_backward(args, dy):
    (x,) = args
    return (jnp.where(x > 0, dy, 0.01 * dy),)


def cut(x):
    return leaky(x, 0.0)


def power(x, e):
    return x * 2.0**e


def power_backward(args, dy):
    x, e = args
    two = jnp.exp(e) * jnp.log(2.0)
    return two, x * two * jnp.log(2.0)


def clamp(x, low, high):
    return jnp.minimum(jnp.maximum(x, low), high)


def clamp_backward(args, dy):
    x, low, high = args
    _, dlow, dhigh = jax.vjp(clamp, *args)[1](dy)
    return jnp.where((x <= low) & (x >= high), dy, 0.0), dlow, dhigh


# Dropout with a fixed mask.
KEEP = np.random.default_rng(40).uniform(size=(5, 7)) < 0.6


def dropout(x):
    return jnp.where(KEEP, x / 0.6, 0.0)


def dropout_backward(args, dy):
    return (dy / 0.6,)


def dropout_ratio_backward(args, dy):
    (x,) = args
    y = dropout(x)
    return (jnp.where(x == 0, dy, dy * y / jnp.where(x == 0, 1.0, x)),)


# Softmax.
def softmax(x):
    return jax.nn.softmax(x)


def softmax_diagonal_backward(args, dy):
    y = softmax(*args)
    return (dy * y * (1 - y),)


def softmax_no_sum_backward(args, dy):
    return (dy * softmax(*args),)


# Connectionist temporal classification of one sequence.
TARGET = np.array([0, 2, 0, 1, 0, 2, 0])


def ctc(logp):
    same = np.concatenate([[True, True], (TARGET[2:] == TARGET[:-2])]) | (TARGET == 0)
    start = jnp.where(np.arange(TARGET.size) < 2, logp[0, TARGET], -1e30)

    def step(a, row):
        one = jnp.concatenate([jnp.full(1, -1e30), a[:-1]])
        two = jnp.where(same, -1e30, jnp.concatenate([jnp.full(2, -1e30), a[:-2]]))
        return jax.nn.logsumexp(jnp.stack([a, one, two]), axis=0) + row[TARGET], None

    a, _ = lax.scan(step, start, logp[1:])
    return -jnp.logaddexp(a[-1], a[-2])


def ctc_logits_backward(args, dy):
    (logp,) = args
    (g,) = jax.vjp(ctc, logp)[1](dy)
    return (dy * jnp.exp(logp) + g,)


def ctc_of_logits(x):
    return ctc(jax.nn.log_softmax(x))


def ctc_part_backward(args, dy):
    (x,) = args
    (g,) = jax.vjp(ctc, jax.nn.log_softmax(x))[1](dy)
    return (jax.nn.softmax(x) + g,)


# Cross entropy of sequences that end early.
LENGTHS = np.array([5, 3, 4])
STEPS = np.random.default_rng(41).integers(0, 4, size=(3, 5))


def sequences(x):
    chosen = jnp.take_along_axis(jax.nn.log_softmax(x), STEPS[..., None], -1)[..., 0]
    return -(chosen * (np.arange(5) < LENGTHS[:, None])).sum(-1)


def sequences_backward(args, dy):
    (x,) = args
    return (dy[:, None, None] * (jax.nn.softmax(x) - jax.nn.one_hot(STEPS, 4)),)


# Divergence of a cold softmax from a warm one.
def divergence(x, target):
    q = jax.nn.softmax(x / 0.002)
    return jnp.where(q > 0, q * (jnp.log(q) - jax.nn.log_softmax(target)), 0.0).sum(-1)


def divergence_reference(x, target):
    logq = jax.nn.log_softmax(x / 0.002)
    return (jnp.exp(logq) * (logq - jax.nn.log_softmax(target))).sum(-1)


# A layer with an activation.
def layer(x, w):
    return jnp.tanh(x @ w)


def layer_backward(args, dy):
    x, w = args
    z = dy * (1 - jnp.tanh(layer(x, w)) ** 2)
    return z @ w.T, x.T @ z


def silu_of_unit(x):
    unit = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return jax.nn.silu(unit)


def silu_of_unit_backward(args, dy):
    (x,) = args
    (dunit,) = jax.vjp(jax.nn.silu, x)[1](dy)

    def unit(x):
        return (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)

    return jax.vjp(unit, x)[1](dunit)


TIED = normal(42, 4, 6)
TIED_OTHER = normal(43, 4, 6)
TIED_OTHER[:, 1:4] = TIED[:, 1:4]
HOLES = normal(44, 5, 7)
HOLES[::2, ::3] = 0.0
LOGP = normal(45, 8, 4)
LOGP = LOGP - np.log(np.exp(LOGP).sum(-1, keepdims=True))

RULES = [
    Wrong(
        "cross_entropy_first_cotangent",
        "linkedin/Liger-Kernel#680: without reduction each row needs its own grad_output",
        with_backward(cross_entropy, first_cotangent_backward),
        (normal(46, 6, 7),),
        cross_entropy,
        "All rows are multiplied by the cotangent of the first row.",
        ("cotangent_in_part",),
    ),
    Wrong(
        "cross_entropy_sum_by_batch",
        "paiml/aprender#2182: CrossEntropyLoss divided by the batch size whatever the reduction",
        with_backward(total_cross_entropy, total_backward),
        (normal(47, 6, 7),),
        total_cross_entropy,
        "The gradient of a sum is divided by the number of rows.",
        ("constant_factor", "wrong_reduction"),
    ),
    Wrong(
        "cross_entropy_second",
        "tensorflow/tensorflow#7403: incorrect second derivative of softmax cross entropy",
        with_backward(cross_entropy, frozen_backward),
        (normal(48, 6, 7),),
        cross_entropy,
        "The gradient is taken as a constant when it is differentiated again.",
        ("second_order_wrong",),
        TRANSFORMS,
    ),
    Wrong(
        "cross_entropy_linearised",
        "tensorflow/tensorflow#7403: the gradient of the op's second output is unused",
        with_backward(with_error, with_error_backward),
        (normal(72, 6, 8),),
        with_error,
        "The cotangent of the second output is ignored.",
        ("output_ignored",),
    ),
    Wrong(
        "cross_entropy_overwrites",
        "linkedin/Liger-Kernel#1251: the loss overwrites an input that softmax has saved",
        with_backward(entropy_of_softmax, overwritten_backward),
        (normal(49, 6, 7),),
        entropy_of_softmax,
        "The saved probabilities of the softmax have been overwritten with a gradient.",
        ("stale_residual",),
    ),
    Wrong(
        "variation_ties",
        "linkedin/Liger-Kernel#1373: LigerTVDLoss has a gradient other than zero where p == q",
        with_backward(variation, variation_backward),
        (TIED, TIED_OTHER),
        variation,
        "Where both distributions agree the gradient is minus one half instead of zero.",
        ("mask_threshold",),
    ),
    Wrong(
        "squares_first_only",
        "flagos-ai/FlagGems#5212: mse_loss_backward reads a scalar grad_output as a full array",
        with_backward(squares, squares_backward),
        normals(50, (4, 5), (4, 5)),
        squares,
        "The cotangent, a single number, reaches only the first element.",
        ("one_sample_only", "rows_wrong"),
    ),
    Wrong(
        "squares_half",
        "davisking/dlib#1169: the gradient of loss_mean_squared lacks the factor 2",
        with_backward(squares, squares_half_backward),
        normals(51, (3, 6), (3, 6)),
        None,
        "The gradient lacks the factor two.",
        ("constant_factor",),
    ),
    Wrong(
        "huber_no_cotangent",
        "chainer/chainer#1178: HuberLoss's backward was right only when gy was ones",
        with_backward(huber, huber_backward),
        normals(52, (5, 4), (5, 4)),
        None,
        "The gradient is not multiplied by the cotangent.",
        ("cotangent_ignored",),
    ),
    Wrong(
        "smooth_l1_signed",
        "BobMcDear/attorch#13: SmoothL1Loss compares the signed difference with beta",
        with_backward(smooth, smooth_backward),
        normals(53, (5, 6), (5, 6)),
        smooth,
        "Differences below minus beta take the quadratic branch.",
        ("mask_threshold",),
    ),
    Wrong(
        "softplus_threshold",
        "pytorch/pytorch#55587: softplus's backward compares the output with the threshold",
        with_backward(softplus, softplus_backward),
        (normal(54, 7, 9) * 0.4,),
        softplus,
        "The backward pass compares the output with the threshold, the forward pass the input.",
        ("mask_threshold", "wrong_point"),
    ),
    Wrong(
        "softplus_overflow",
        "tenstorrent/tt-metal#56397: softplus_bw fails once the exponential overflows",
        with_backward(steep, steep_backward),
        (normal(55, 6, 7) * 1.5,),
        steep,
        "For large inputs the exponential overflows in the numerator and the denominator.",
        ("not_finite",),
    ),
    Wrong(
        "hard_sigmoid_lower",
        "pytorch/pytorch#51438: hardsigmoid_backward gives 1/6 also below -3",
        with_backward(hard_sigmoid, hard_sigmoid_backward),
        (normal(56, 6, 8) * 3,),
        None,
        "The lower bound is missing, so inputs below minus three get a gradient.",
        ("mask_threshold",),
    ),
    Wrong(
        "leaky_in_place",
        "pytorch/pytorch#31938: leaky_relu_ with a negative slope gives a wrong gradient",
        with_backward(bent, bent_backward),
        (normal(57, 5, 6),),
        bent,
        "The sign of the output decides the branch, but it is always positive here.",
        ("mask_threshold", "wrong_point"),
    ),
    Wrong(
        "leaky_slope",
        "deeplearning4j/deeplearning4j#8178: the backprop of leaky relu does not use alpha",
        with_backward(gentle, gentle_backward),
        (normal(58, 4, 7),),
        gentle,
        "The backward pass uses another slope than the one given.",
        ("parameter_changed", "mask_threshold"),
    ),
    Wrong(
        "leaky_zero_slope",
        "chainer/chainer#5898: F.leaky_relu backpropagated all gradients when slope = 0",
        with_backward(cut, lambda args, dy: (dy,)),
        (normal(59, 5, 5),),
        cut,
        "The gradient passes also where the input is negative.",
        ("mask_missing", "mask_threshold"),
    ),
    Wrong(
        "power_of_two",
        "tenstorrent/tt-metal#6533: ldexp_bw uses exp instead of exp2 and does not use grad",
        with_backward(power, power_backward),
        normals(60, (4, 6), (4, 6)),
        None,
        "The cotangent is not used, and a power of e stands for a power of two.",
        ("cotangent_ignored", "other_derivative"),
    ),
    Wrong(
        "clamp_inverted",
        "tenstorrent/tt-metal#48201: clamp_bw's mask is inverted when both bounds are tensors",
        with_backward(clamp, clamp_backward),
        (normal(61, 4, 5), normal(62, 4, 5) - 1.5, normal(63, 4, 5) + 1.5),
        clamp,
        "The comparisons are turned round, so the input never gets a gradient.",
        ("argument_constant",),
    ),
    Wrong(
        "dropout_no_mask",
        "ddbourgin/numpy-ml#94: backpropagation of the dropout wrapper does not apply the mask",
        with_backward(dropout, dropout_backward),
        (normal(64, 5, 7),),
        dropout,
        "The mask is not applied to the gradient.",
        ("mask_missing",),
    ),
    Wrong(
        "dropout_ratio",
        "kaldi-asr/kaldi#3890: dropout derives its mask from the ratio of output and input",
        with_backward(dropout, dropout_ratio_backward),
        (HOLES,),
        dropout,
        "Where the input is zero the gradient passes as if nothing was dropped or scaled.",
        ("mask_threshold", "mask_missing"),
    ),
    Wrong(
        "softmax_diagonal",
        "deeplearning4j/libnd4j#440: only output * (1 - output) of softmax's derivative is there",
        with_backward(softmax, softmax_diagonal_backward),
        (normal(65, 4, 6),),
        None,
        "Only the diagonal of the derivative is used.",
        ("diagonal_only",),
    ),
    Wrong(
        "softmax_no_sum",
        "HomericIntelligence/Odyssey#2134: softmax_backward lacks the dot product term",
        with_backward(softmax, softmax_no_sum_backward),
        (normal(66, 5, 4),),
        softmax,
        "The weighted sum of the cotangents is not subtracted.",
        ("diagonal_only", "mean_term_missing"),
    ),
    Wrong(
        "ctc_logits",
        "pytorch/pytorch#181534: CTCLoss returns the gradient of the logits, not of log_probs",
        with_backward(ctc, ctc_logits_backward),
        (LOGP,),
        ctc,
        "The gradient is that of the loss as a function of unnormalised logits.",
        ("other_derivative",),
    ),
    Wrong(
        "ctc_part",
        "pytorch/pytorch#11750: bits of ctc_loss's backward aren't multiplied by grad_out",
        with_backward(ctc_of_logits, ctc_part_backward),
        (normal(67, 8, 4),),
        ctc_of_logits,
        "One of the two terms is not multiplied by the cotangent.",
        ("cotangent_ignored",),
    ),
    Wrong(
        "sequence_lengths",
        "tensorflow/tensorflow#41280: incorrect gradient of ctc_loss with logit_length",
        with_backward(sequences, sequences_backward),
        (normal(68, 3, 5, 4),),
        sequences,
        "The steps after the end of a sequence get a gradient.",
        ("rows_wrong", "mask_missing"),
    ),
    Wrong(
        "divergence_cold",
        "MakazhanAlpamys/Soup#719: reverse KL returns finite losses with NaN gradients",
        divergence,
        normals(69, (4, 6), (4, 6)),
        divergence_reference,
        "Where a probability underflows to zero, the derivative of its logarithm is infinite.",
        ("not_finite",),
    ),
    Wrong(
        "tanh_of_output",
        "benoitfragit/libBrain#78: the derivative gets the activation, not the weighted sum",
        with_backward(layer, layer_backward),
        normals(70, (5, 4), (4, 3)),
        layer,
        "The derivative of the activation is taken at its output.",
        ("wrong_point",),
    ),
    Wrong(
        "silu_of_input",
        "ooples/AiDotNet.Tensors#187: SwishBackward gets the input of the normalisation",
        with_backward(silu_of_unit, silu_of_unit_backward),
        (normal(71, 5, 7) * 1.7 + 0.4,),
        silu_of_unit,
        "The derivative of the activation is taken at the input of the normalisation before it.",
        ("wrong_point",),
    ),
]
