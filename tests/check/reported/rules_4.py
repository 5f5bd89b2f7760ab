"""Attention, recurrences and mixtures of experts."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from check.reported.wrong import TRANSFORMS, Wrong, normal, normals, with_backward
from jax import lax


def attend(q, k, v, keep=None):
    """Attention of arrays with the axes head, place, feature."""
    s = jnp.einsum("hqd,hkd->hqk", q, k) / np.sqrt(q.shape[-1])
    if keep is not None:
        s = jnp.where(keep, s, -jnp.inf)
    return jnp.einsum("hqk,hkd->hqd", jax.nn.softmax(s), v)


def causal(size):
    return np.tril(np.ones((size, size), bool))


# Attention without a mask, whose backward pass has a causal one.
def plain(q, k, v):
    return attend(q, k, v)


def causal_backward(args, dy):
    q, k, v = args
    return jax.vjp(lambda *a: attend(*a, causal(q.shape[1])), q, k, v)[1](dy)


# Causal attention, whose backward pass has no mask.
def windowed(q, k, v):
    size = q.shape[1]
    near = np.arange(size)[:, None] - np.arange(size)[None, :] < 3
    return attend(q, k, v, causal(size) & near)


def windowed_backward(args, dy):
    return jax.vjp(attend, *args)[1](dy)


# Attention that also returns the logarithm of the sum of the weights.
def with_sums(q, k, v):
    s = jnp.einsum("hqd,hkd->hqk", q, k) / np.sqrt(q.shape[-1])
    return jnp.einsum("hqk,hkd->hqd", jax.nn.softmax(s), v), jax.nn.logsumexp(s, -1)


def with_sums_backward(args, dy):
    dout, _ = dy
    return jax.vjp(attend, *args)[1](dout)


# Six heads of queries that share two heads of keys and values.
def grouped(q, k, v):
    return attend(q, jnp.tile(k, (3, 1, 1)), jnp.tile(v, (3, 1, 1)))


def grouped_backward(args, dy):
    q, k, v = args
    dq, dk, dv = jax.vjp(attend, q, jnp.tile(k, (3, 1, 1)), jnp.tile(v, (3, 1, 1)))[1](dy)

    def gather(g):
        return g.reshape(2, 3, *g.shape[1:]).sum(1)

    return dq, gather(dk), gather(dv)


# Attention with the axes place, head, feature; the sums of y * dy are read in another order.
def placed(q, k, v):
    return attend(*(a.swapaxes(0, 1) for a in (q, k, v))).swapaxes(0, 1)


def placed_backward(args, dy):
    q, k, v = (a.swapaxes(0, 1) for a in args)
    scale = 1 / np.sqrt(q.shape[-1])
    p = jax.nn.softmax(jnp.einsum("hqd,hkd->hqk", q, k) * scale)
    y = jnp.einsum("hqk,hkd->hqd", p, v)
    do = dy.swapaxes(0, 1)
    delta = (y * dy.reshape(y.shape)).sum(-1)
    ds = p * (jnp.einsum("hqd,hkd->hqk", do, v) - delta[..., None]) * scale
    dq, dk = jnp.einsum("hqk,hkd->hqd", ds, k), jnp.einsum("hqk,hqd->hkd", ds, q)
    dv = jnp.einsum("hqk,hqd->hkd", p, do)
    return tuple(a.swapaxes(0, 1) for a in (dq, dk, dv))


# Linear attention divided by the sum of its weights.
def linear(q, k, v):
    q, k = jnp.exp(q), jnp.exp(k)
    s = jnp.einsum("td,sd->ts", q, k) * causal(q.shape[0])
    return s @ v / (q * jnp.cumsum(k, 0)).sum(-1, keepdims=True)


def linear_backward(args, dy):
    q, k, v = args

    def severed(q, k, v):
        s = jnp.einsum("td,sd->ts", jnp.exp(q), jnp.exp(k)) * causal(q.shape[0])
        total = jnp.cumsum(lax.stop_gradient(jnp.exp(k)), 0)
        return s @ v / (jnp.exp(q) * total).sum(-1, keepdims=True)

    return jax.vjp(severed, q, k, v)[1](dy)


# A causal convolution that also returns the last inputs as a state.
WIDTH = 6


def short_conv(x, w, state):
    line = jnp.concatenate([state, x])
    places = range(x.shape[0])
    y = jnp.stack([(line[t + 1 : t + 1 + WIDTH] * w).sum(0) for t in places])
    return y, line[-WIDTH:]


def short_conv_backward(args, dy):
    x, w, state = args
    dout, dlast = dy
    dx, dw, dstate = jax.vjp(lambda *a: short_conv(*a)[0], x, w, state)[1](dout)
    size = x.shape[0]
    start = max(0, size - WIDTH)
    dx = dx + dlast[jnp.arange(size) - start]
    return dx, dw, dstate.at[size:].add(dlast[: WIDTH - size])


# A simple recurrent net, its outputs and its last state.
def recurrent(x, u, h):
    def step(h, row):
        h = jnp.tanh(row + h @ u)
        return h, h

    last, out = lax.scan(step, h, x)
    return out, last


def recurrent_backward(args, dy):
    dout, dlast = dy
    return jax.vjp(recurrent, *args)[1]((dout, jnp.zeros_like(dlast)))


def outputs(x, u, h):
    return recurrent(x, u, h)[0]


def assigned_backward(args, dy):
    x, u, h = args
    dx, _, dh = jax.vjp(outputs, x, u, h)[1](dy)
    return dx, jnp.outer(h, dx[0]), dh


# Keys weighted by a decay, with the state returned.
def decayed(decay, k, v):
    def step(state, row):
        top, bottom = state
        key, value = row
        top = jnp.exp(-decay) * top + jnp.exp(key) * value
        bottom = jnp.exp(-decay) * bottom + jnp.exp(key)
        return (top, bottom), top / bottom

    zero = jnp.zeros_like(decay)
    (top, bottom), out = lax.scan(step, (zero, zero), (k, v))
    return out, top, bottom


def decayed_backward(args, dy):
    dout, dtop, dbottom = dy
    return jax.vjp(decayed, *args)[1]((dout, jnp.zeros_like(dtop), jnp.zeros_like(dbottom)))


# A state that decays, summed in sixteen bits on the way back.
def gated_sum(gate, k, v):
    def step(state, row):
        g, key, value = row
        state = jax.nn.sigmoid(g)[:, None] * state + jnp.outer(key, value)
        return state, state.sum(0)

    return lax.scan(step, jnp.zeros((k.shape[1], v.shape[1]), k.dtype), (gate, k, v))[1]


def gated_sum_backward(args, dy):
    gate, k, v = args
    dgate, _, _ = jax.vjp(gated_sum, *args)[1](dy)
    g = jax.nn.sigmoid(gate)

    def back(dstate, row):
        after, out, key, value = row
        dstate = (after[:, None] * dstate + out[None, :]).astype(jnp.bfloat16)
        full = dstate.astype(k.dtype)
        return dstate, (full @ value, full.T @ key)

    following = jnp.concatenate([g[1:], jnp.ones_like(g[:1])])
    start = jnp.zeros((k.shape[1], v.shape[1]), jnp.bfloat16)
    _, (dk, dv) = lax.scan(back, start, (following, dy, k, v), reverse=True)
    return dgate, dk, dv


# Outputs of experts multiplied by their gates.
def combine(gate, h):
    return gate[:, None] * h


def combine_backward(args, dy):
    gate, h = args
    dh = lax.stop_gradient(gate)[:, None] * dy
    return (dh * h).sum(-1) / gate, dh


# Rotary embedding.
def rotary(x):
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[-2])[:, None] / 10.0 ** (np.arange(half) / half)
    left, right = x[..., :half], x[..., half:]
    turned = [left * np.cos(angle) - right * np.sin(angle)]
    turned.append(left * np.sin(angle) + right * np.cos(angle))
    return jnp.concatenate(turned, -1)


# The logarithm of a sum over long label sequences, worked through in blocks.
def over_labels(x):
    return jax.nn.logsumexp(x, axis=-1)


def over_labels_backward(args, dy):
    (x,) = args
    block = 8
    dx = dy[:, None] * jax.nn.softmax(x)
    return (dx.at[:, x.shape[-1] // block * block :].set(0.0),)


HEADS = normals(80, (3, 6, 4), (3, 6, 4), (3, 6, 4))

RULES = [
    Wrong(
        "attention_causal_backward",
        "triton-lang/triton#5660: the fused attention tutorial's backward fails with causal=False",
        with_backward(plain, causal_backward),
        HEADS,
        plain,
        "The backward pass has a causal mask, the forward pass none.",
        ("triangle_wrong",),
    ),
    Wrong(
        "attention_window_backward",
        "meta-pytorch/MSLK#263: the sliding window backward was neither causal nor windowed",
        with_backward(windowed, windowed_backward),
        normals(81, (2, 8, 3), (2, 8, 3), (2, 8, 3)),
        windowed,
        "The backward pass forgets the causal mask and the window.",
        ("band_wrong", "triangle_wrong", "mask_missing"),
    ),
    Wrong(
        "attention_sums",
        "Dao-AILab/flash-attention#141: the returned LSE does not contribute to the gradients",
        with_backward(with_sums, with_sums_backward),
        normals(82, (2, 5, 4), (2, 7, 4), (2, 7, 4)),
        with_sums,
        "The cotangent of the logarithms of the sums is ignored.",
        ("output_ignored",),
    ),
    Wrong(
        "attention_shared_heads",
        "XunhaoLai/native-sparse-attention-triton#27: wrong head division for interleaved sharing",
        with_backward(grouped, grouped_backward),
        normals(83, (6, 4, 3), (2, 5, 3), (2, 5, 3)),
        grouped,
        "The gradients of keys and values are summed over the wrong heads of queries.",
        ("channels_exchanged",),
    ),
    Wrong(
        "attention_strides",
        "flagos-ai/FlagAttention#1: the preprocessing of the backward assumed another axis order",
        with_backward(placed, placed_backward),
        normals(84, (5, 3, 4), (5, 3, 4), (5, 3, 4)),
        placed,
        "The cotangent is read in the wrong order of axes where it is multiplied by the output.",
        ("axes_swapped",),
    ),
    Wrong(
        "linear_attention_norm",
        "fla-org/flash-linear-attention#875: the chain from k to the denominator was severed",
        with_backward(linear, linear_backward),
        normals(85, (6, 3), (6, 3), (6, 4)),
        linear,
        "The sum of the keys in the denominator is taken as a constant.",
        ("statistics_constant",),
    ),
    Wrong(
        "short_conv_state",
        "fla-org/flash-linear-attention#1140: causal_conv1d shifts dht for a short chunk",
        with_backward(short_conv, short_conv_backward),
        normals(86, (3, 4), (WIDTH, 4), (WIDTH, 4)),
        short_conv,
        "The gradient of the final state goes to the inputs shifted by some places.",
        ("shifted",),
    ),
    Wrong(
        "recurrent_last_state",
        "open-lm-engine/accelerated-model-architectures#445: M2RNN ignored the gradient for ht",
        with_backward(recurrent, recurrent_backward),
        normals(87, (6, 4), (4, 4), (4,)),
        recurrent,
        "The cotangent of the last state is ignored.",
        ("output_ignored",),
    ),
    Wrong(
        "recurrent_assigned",
        "tensorflow/swift-apis#518: the gradient of the cell was assigned, not added",
        with_backward(outputs, assigned_backward),
        normals(88, (6, 4), (4, 4), (4,)),
        outputs,
        "Only one step of the sequence reaches the gradient of the recurrent weight.",
        ("last_window_only", "cotangent_in_part"),
    ),
    Wrong(
        "decayed_state",
        "huggingface/transformers#23774: RWKV's backward does not handle the gradient of the state",
        with_backward(decayed, decayed_backward),
        normals(89, (4,), (6, 4), (6, 4)),
        decayed,
        "The cotangents of the returned state are ignored.",
        ("output_ignored",),
    ),
    Wrong(
        "gated_sum_bfloat",
        "fla-org/flash-linear-attention#37: the gradient of the state was kept in bf16",
        with_backward(gated_sum, gated_sum_backward),
        normals(90, (7, 3), (7, 3), (7, 5)),
        gated_sum,
        "The gradient of the state is rounded to sixteen bits at every step.",
        ("precision_lost",),
    ),
    Wrong(
        "combine_second",
        "unslothai/unsloth-zoo#858: the gate gradient identity loses higher-order derivatives",
        with_backward(combine, combine_backward),
        (np.random.default_rng(91).uniform(0.2, 1.0, size=5), normal(92, 5, 4)),
        combine,
        "The gradient of the experts is detached from the gate, so second derivatives are wrong.",
        ("second_order_wrong",),
        TRANSFORMS,
    ),
    Wrong(
        "rotary_unturned",
        "naver/croco#49: cuRoPE2D gives different gradients, as it has no backward",
        with_backward(rotary, lambda args, dy: (dy,)),
        (normal(93, 3, 5, 6),),
        rotary,
        "The gradient passes without being turned back.",
        (),
    ),
    Wrong(
        "rotary_turned_on",
        "ngxson/llama.cpp#59: the flag for the direction of the rotation is inverted",
        with_backward(rotary, lambda args, dy: (rotary(dy),)),
        (normal(94, 2, 7, 4),),
        rotary,
        "The gradient is turned on by the same angle instead of back, the sine has a wrong sign.",
        (),
    ),
    Wrong(
        "labels_beyond_block",
        "pytorch/pytorch#27442: CTCLoss computes wrong gradients for labels longer than a block",
        with_backward(over_labels, over_labels_backward),
        (normal(95, 3, 11),),
        over_labels,
        "The labels that do not fill a whole block get no gradient.",
        ("rows_wrong",),
    ),
]
