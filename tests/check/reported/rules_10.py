"""Wrong gradients of scans, attention, normalizations and projections, from public reports."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from check.reported.wrong import Wrong, normal, normals, with_backward, with_residuals


def solution_value(y0, t0, a, ts):
    """The solution of y' = cos(a t) at the times ts."""
    return y0 + (jnp.sin(a * ts) - jnp.sin(a * t0)) / a


def solution_backward(args, g):
    _, t0, a, ts = args
    da = (ts * jnp.cos(a * ts) - t0 * jnp.cos(a * t0)) / a
    da = da - (jnp.sin(a * ts) - jnp.sin(a * t0)) / a**2
    return jnp.sum(g), jnp.zeros_like(t0), jnp.sum(g * da), g * jnp.cos(a * ts)


solution = with_backward(solution_value, solution_backward)


def rotate_half(x):
    half = x.shape[-1] // 2
    return jnp.concatenate([-x[..., half:], x[..., :half]], axis=-1)


def rotation_tables(x):
    """Cosines and sines; those of the second half are damped."""
    positions = jnp.arange(x.shape[0])[:, None]
    half = x.shape[1] // 2
    angles = (positions + 1) / 3.0 ** jnp.arange(half)
    cos = jnp.concatenate([jnp.cos(angles), jnp.cos(angles)], axis=-1)
    sin = jnp.concatenate([jnp.sin(angles), 0.1 * jnp.sin(angles)], axis=-1)
    return cos, sin


def rotary_value(x):
    """Rotary embedding, rows are positions."""
    cos, sin = rotation_tables(x)
    return x * cos + rotate_half(x) * sin


def rotary_backward(args, g):
    cos, sin = rotation_tables(args[0])
    return (g * cos - rotate_half(g) * sin,)


rotary = with_backward(rotary_value, rotary_backward)


def pairs_value(x):
    """Rotary embedding of neighbouring pairs."""
    n, d = x.shape
    angles = jnp.arange(n)[:, None] / 3.0 ** jnp.arange(d // 2)
    a, b = x[:, 0::2], x[:, 1::2]
    turned = jnp.stack(
        [a * jnp.cos(angles) - b * jnp.sin(angles), a * jnp.sin(angles) + b * jnp.cos(angles)],
        axis=-1,
    )
    return turned.reshape(n, d)


pairs = with_backward(pairs_value, lambda args, g: (jnp.zeros_like(args[0]),))


def lstm_step(h, c, x, w, u):
    z = w @ x + u @ h
    i, f, q, o = jnp.split(z, 4)
    i, f, q, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(q), jax.nn.sigmoid(o)
    c_next = f * c + i * q
    return o * jnp.tanh(c_next), c_next, (i, f, q, o)


def lstm_value(x, w, u):
    """The hidden states of an LSTM without bias."""
    h = c = jnp.zeros(u.shape[1])
    states = []
    for t in range(x.shape[0]):
        h, c, _ = lstm_step(h, c, x[t], w, u)
        states.append(h)
    return jnp.stack(states)


def lstm_forward(x, w, u):
    h = c = jnp.zeros(u.shape[1])
    states, saved = [], []
    for t in range(x.shape[0]):
        h_next, c_next, gates = lstm_step(h, c, x[t], w, u)
        saved.append((h, c, c_next, gates))
        h, c = h_next, c_next
        states.append(h)
    return jnp.stack(states), (x, w, u, saved)


def lstm_backward(res, g):
    x, w, u, saved = res
    dh = dc = jnp.zeros(u.shape[1])
    dx, dw, du = jnp.zeros_like(x), jnp.zeros_like(w), jnp.zeros_like(u)
    for t in reversed(range(x.shape[0])):
        h_prev, c_prev, c, (i, f, q, o) = saved[t]
        dh = dh + g[t]
        tanh_c = jnp.tanh(c)
        dc = dc + dh * o * (1 - tanh_c**2)
        dz = jnp.concatenate(
            [
                dc * q * i * (1 - i),
                dc * c_prev * f * (1 - f),
                dc * i * (1 - q**2),
                dh * tanh_c * o * (1 - o),
            ]
        )
        dx = dx.at[t].set(w.T @ dz)
        dw = dw + jnp.outer(dz, x[t])
        du = du + jnp.outer(dz, h_prev)
        dh = jnp.zeros_like(dh)
        dc = dc * f
    return dx, dw, du


lstm = with_residuals(lstm_value, lstm_forward, lstm_backward)


def zoneout_masks(x):
    t, d = x.shape
    return ((jnp.arange(t)[:, None] * 2 + jnp.arange(d)) % 3 == 0).astype(x.dtype)


def zoneout_states(x, u):
    masks = zoneout_masks(x)
    h = jnp.zeros(x.shape[1])
    states, saved = [], []
    for t in range(x.shape[0]):
        new = jnp.tanh(x[t] + u * h)
        saved.append((h, new))
        h = masks[t] * h + (1 - masks[t]) * new
        states.append(h)
    return jnp.stack(states), saved


def zoneout_value(x, u):
    """A network whose units keep their last state where a mask is one."""
    return zoneout_states(x, u)[0]


def zoneout_forward(x, u):
    y, saved = zoneout_states(x, u)
    return y, (x, u, saved)


def zoneout_backward(res, g):
    x, u, saved = res
    mask = zoneout_masks(x)[0]
    dh = jnp.zeros(x.shape[1])
    dx, du = jnp.zeros_like(x), jnp.zeros_like(u)
    for t in reversed(range(x.shape[0])):
        h_prev, new = saved[t]
        dh = dh + g[t]
        dz = dh * (1 - mask) * (1 - new**2)
        dx = dx.at[t].set(dz)
        du = du + dz * h_prev
        dh = dh * mask + dz * u
    return dx, du


zoneout = with_residuals(zoneout_value, zoneout_forward, zoneout_backward)


def fading(x, reverse):
    """A running sum that fades by 0.6 at each step."""

    def step(carry, row):
        carry = 0.6 * carry + row
        return carry, carry

    return jax.lax.scan(step, jnp.zeros(x.shape[1:]), x, reverse=reverse)[1]


def both_ways_value(x):
    """The sum of a pass to the right and a pass to the left."""
    return fading(x, False) + fading(x, True)


def both_ways_backward(args, dy):
    dx = jnp.zeros_like(dy)
    # left to right: the buffer of dy is reused for dx
    dy = fading(dy, True)
    dx = dx + dy
    # right to left
    dx = dx + fading(dy, False)
    return (dx,)


both_ways = with_backward(both_ways_value, both_ways_backward)


def linear_scan(a, x):
    def step(h, ax):
        h = ax[0] * h + ax[1]
        return h, h

    return jax.lax.scan(step, jnp.zeros(x.shape[1:], x.dtype), (a, x))[1]


def linear_scan_forward(a, x):
    h = linear_scan(a, x)
    return h, (a, h)


def linear_scan_backward(res, g):
    a, h = res
    a_next = jnp.concatenate([jnp.conj(a[1:]), jnp.zeros_like(a[:1])])

    def step(carry, ag):
        carry = ag[0] * carry + ag[1]
        return carry, carry

    dx = jax.lax.scan(step, jnp.zeros_like(g[0]), (a_next, g), reverse=True)[1]
    h_prev = jnp.concatenate([jnp.zeros_like(h[:1]), h[:-1]])
    return dx * jnp.conj(h_prev), dx


complex_scan = with_residuals(linear_scan, linear_scan_forward, linear_scan_backward)


def delta_rows_value(k, beta):
    """The rows (I + tril(beta k k', -1))^-1 (beta k) of the delta rule."""
    kb = beta[:, None] * k
    a = jnp.tril(kb @ k.T, -1)
    return jnp.linalg.solve(jnp.eye(k.shape[0]) + a, kb)


def delta_rows_forward(k, beta):
    w = delta_rows_value(k, beta)
    return w, (k, beta, w)


def delta_rows_backward(res, dw):
    k, beta, w = res
    kb = beta[:, None] * k
    inverse = jnp.linalg.inv(jnp.eye(k.shape[0]) + jnp.tril(kb @ k.T, -1))
    dkb = inverse.T @ dw
    da = jnp.tril(-dkb @ w.T, -1)
    dk = da.T @ kb
    dkb_inner = da @ k
    dk = dk + beta[:, None] * dkb_inner
    dbeta = jnp.sum(dkb_inner * k, axis=-1)
    return dk, dbeta


delta_rows = with_residuals(delta_rows_value, delta_rows_forward, delta_rows_backward)


def gated_norm_value(x, z, w):
    """Root mean square normalization, gated by silu(z)."""
    rstd = jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-5)
    return x * rstd * w * jax.nn.silu(z)


def gated_norm_backward(args, g):
    x, z, w = args
    rstd = jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-5)
    xhat = x * rstd
    s = jax.nn.sigmoid(z)
    dz = g * xhat * w * s * (1 + z * (1 - s))
    dyhat = g * z * s
    dw = jnp.sum(dyhat * xhat, axis=0)
    dxhat = dyhat * w
    dx = rstd * (dxhat - xhat * jnp.mean(dxhat * xhat, axis=-1, keepdims=True))
    if z is not None:
        dx = dz.reshape(x.shape)
    return dx, dz, dw


gated_norm = with_residuals(
    gated_norm_value, lambda *args: (gated_norm_value(*args), args), gated_norm_backward
)

GROUPS = 2


def group_statistics(x):
    n, c, length = x.shape
    grouped = x.reshape(n, GROUPS, c // GROUPS * length)
    mean = jnp.mean(grouped, axis=-1)
    rstd = jax.lax.rsqrt(jnp.var(grouped, axis=-1) + 1e-5)
    return mean, rstd


def group_norm_value(x, gamma, beta):
    """Normalization of two groups of channels."""
    c = x.shape[1]
    mean, rstd = group_statistics(x)
    group = jnp.arange(c) // (c // GROUPS)
    xhat = (x - mean[:, group, None]) * rstd[:, group, None]
    return xhat * gamma[:, None] + beta[:, None]


def group_norm_backward(args, g):
    x, gamma, _ = args
    n, c, _ = x.shape
    mean, rstd = group_statistics(x)
    group = jnp.arange(c) // (c // GROUPS)
    xhat = (x - mean[:, group, None]) * rstd[:, group, None]
    dxhat = (g * gamma[:, None]).reshape(n, GROUPS, -1)
    xg = xhat.reshape(n, GROUPS, -1)
    dx = dxhat - jnp.mean(dxhat, -1, keepdims=True)
    dx = dx - xg * jnp.mean(dxhat * xg, -1, keepdims=True)
    dx = (dx * rstd[:, :, None]).reshape(x.shape)

    index = jnp.arange(c) % GROUPS
    dgamma = jnp.sum(g * (x - mean[:, index, None]) * rstd[:, index, None], axis=(0, 2))
    return dx, dgamma, jnp.sum(g, axis=(0, 2))


group_norm = with_backward(group_norm_value, group_norm_backward)


def halves_value(x, wg, wu):
    """The gate and the other half of a feed-forward layer."""
    return jax.nn.silu(x @ wg) * (x @ wu)


def halves_backward(args, g):
    x, wg, wu = args
    gate, up = x @ wg, x @ wu
    s = jax.nn.sigmoid(gate)
    d_gate = g * up * s * (1 + gate * (1 - s))
    d_up = g * gate * s
    return d_gate @ wg.T, x.T @ d_gate, x.T @ d_up


halves = with_backward(halves_value, halves_backward)


def routes(x, w):
    """Two experts for each token."""
    first = jnp.arange(x.shape[0]) % w.shape[0]
    return jnp.stack([first, (first + 1) % w.shape[0]], axis=1)


def routed_value(x, p, w):
    """The weighted sum of the outputs of the experts of each token."""
    experts = routes(x, w)
    return jnp.einsum("tk,ti,tkio->to", p, x, w[experts])


def routed_backward(args, g):
    x, p, w = args
    experts = routes(x, w)
    chosen = w[experts]
    dx = jnp.einsum("tk,to,tkio->ti", p, g, chosen)
    dp = jnp.einsum("ti,to,tkio->tk", x, g, chosen)
    dw = jnp.zeros_like(w)
    for k in range(p.shape[1]):
        dw = dw.at[experts[:, k]].add(x[:, :, None] * g[:, None, :])
    return dx, dp, dw


routed = with_backward(routed_value, routed_backward)


def low_rank_value(x, w, a, b, magnitude):
    """A layer with a low-rank correction, whose columns have a magnitude."""
    return magnitude * (x @ w + 0.5 * (x @ a) @ b)


def low_rank_forward(x, w, a, b, magnitude):
    result = low_rank_value(x, w, a, b, magnitude)
    return result, (x, w, a, b, magnitude, result)


def low_rank_backward(res, g):
    x, w, a, b, magnitude, combined = res
    d_magnitude = jnp.sum(g * combined, axis=0)
    g = g * magnitude
    dx = g @ w.T + 0.5 * (g @ b.T) @ a.T
    return dx, x.T @ g, 0.5 * x.T @ (g @ b.T), 0.5 * (x @ a).T @ g, d_magnitude


low_rank = with_residuals(low_rank_value, low_rank_forward, low_rank_backward)


def sparse_index(q, k):
    """Three keys for each query; the first key is chosen by all."""
    rows = jnp.arange(q.shape[0])
    n = k.shape[0]
    return jnp.stack([jnp.zeros_like(rows), 1 + rows % (n - 1), 1 + (rows + 1) % (n - 1)], axis=1)


def sparse_weights(q, k):
    chosen = k[sparse_index(q, k)]
    scores = jnp.einsum("td,tjd->tj", q, chosen) / jnp.sqrt(q.shape[1])
    return jax.nn.softmax(scores, axis=-1), chosen


def sparse_value(q, k, v):
    """Attention of each query to three keys."""
    p, _ = sparse_weights(q, k)
    return jnp.einsum("tj,tjd->td", p, v[sparse_index(q, k)])


def sparse_backward(args, g):
    q, k, v = args
    index = sparse_index(q, k)
    p, chosen = sparse_weights(q, k)
    dp = jnp.einsum("td,tjd->tj", g, v[index])
    ds = p * (dp - jnp.sum(p * dp, axis=-1, keepdims=True)) / jnp.sqrt(q.shape[1])
    dq = jnp.einsum("tj,tjd->td", ds, chosen)
    dk, dv = jnp.zeros_like(k), jnp.zeros_like(v)
    for t in range(q.shape[0]):
        dk = dk.at[index[t]].set(ds[t][:, None] * q[t])
        dv = dv.at[index[t]].set(p[t][:, None] * g[t])
    return dq, dk, dv


sparse = with_backward(sparse_value, sparse_backward)

RULES = [
    Wrong(
        "initial_time",
        "stan-dev/math#1833: ODE gradients with respect to t0 are not set",
        solution,
        (np.array(0.3), np.array(0.2), np.array(1.5), np.array([0.45, 1.1, 1.7, 2.4])),
        solution_value,
        "The gradient of the initial time is zero.",
        ("argument_constant",),
    ),
    Wrong(
        "rotary_halves",
        "PaddlePaddle/Paddle#74716: the backward pass multiplies by sin after rotate_half",
        rotary,
        (normal(41, 4, 6),),
        rotary_value,
        "The halves are exchanged before the multiplication by the sines, not after it.",
        ("wrong_operand",),
    ),
    Wrong(
        "rotary_none",
        "huggingface/candle#3612: the fused rope kernels silently return no gradient",
        pairs,
        (normal(42, 4, 4),),
        None,
        "The gradient is zero.",
        ("argument_constant",),
    ),
    Wrong(
        "lstm_recurrent",
        "ooples/AiDotNet#722: dH = 0 discards the gradient through the recurrent connections",
        lstm,
        normals(43, (4, 2), (8, 2), (8, 2)),
        lstm_value,
        "The gradient through the hidden state to the previous step is left out.",
        ("step_missing",),
    ),
    Wrong(
        "zoneout_first",
        "lmnt-com/haste#43: the zoneout mask of the first step is used for all steps",
        zoneout,
        (normal(44, 5, 3), normal(45, 3)),
        zoneout_value,
        "The mask of the first step is used in all steps of the backward pass.",
        ("wrong_operand",),
    ),
    Wrong(
        "both_ways",
        "apache/mxnet#18203: dy is overwritten by dx before the other direction could use it",
        both_ways,
        (normal(46, 6, 2),),
        both_ways_value,
        "The second direction gets the gradient of the first instead of the cotangent.",
        ("wrong_operand", "step_extra"),
    ),
    Wrong(
        "complex_scan",
        "alxndrTL/mamba.py#65: the gradient of pscan is not correct for complex numbers",
        complex_scan,
        (
            normal(47, 5, 2) + 1j * normal(48, 5, 2),
            normal(49, 5, 2) + 1j * normal(50, 5, 2),
        ),
        linear_scan,
        "The factors are conjugated in the backward pass, against the convention.",
        ("conjugate_missing",),
    ),
    Wrong(
        "delta_rows",
        "fla-org/flash-linear-attention#863: without gates dk and db lack a contribution",
        delta_rows,
        (0.5 * normal(51, 5, 3), np.array([0.4, 0.9, 0.6, 0.3, 0.8])),
        delta_rows_value,
        "The gradients through the product beta k on the right are left out.",
        ("step_missing",),
    ),
    Wrong(
        "gated_norm",
        "fla-org/flash-linear-attention#155: dx is assigned where it should be dz",
        gated_norm,
        (normal(52, 4, 3), normal(53, 4, 3), normal(54, 3)),
        None,
        "The gradient of x is overwritten by that of z.",
        ("other_arguments_gradient",),
    ),
    Wrong(
        "group_index",
        "tenstorrent/tt-metal#56202: gamma_grad reads the statistics of another group",
        group_norm,
        (normal(55, 2, 4, 3), normal(56, 4), normal(57, 4)),
        group_norm_value,
        "The group of a channel is its remainder instead of its quotient.",
        ("wrong_operand", "axes_swapped"),
    ),
    Wrong(
        "half_dropped",
        "linkedin/Liger-Kernel#1413: one of the two contributions to dx is dropped",
        halves,
        normals(58, (4, 3), (3, 4), (3, 4)),
        halves_value,
        "The gradient of x lacks the half that does not pass the gate.",
        ("step_missing",),
    ),
    Wrong(
        "routed_weights",
        "ROCm/aiter#5310: the gradient of the experts is not multiplied by the gating weights",
        routed,
        normals(59, (4, 3), (4, 2), (3, 3, 2)),
        None,
        "The gradient of the experts lacks the weight of each token.",
        ("step_missing",),
    ),
    Wrong(
        "low_rank_magnitude",
        "axolotl-ai-cloud/axolotl#3528: the saved activation is scaled, so d_mag is scaled twice",
        low_rank,
        normals(60, (4, 3), (3, 3), (3, 2), (2, 3), (3,)),
        low_rank_value,
        "The gradient of the magnitude uses the output after it was scaled.",
        ("wrong_operand", "step_extra"),
    ),
    Wrong(
        "sparse_keys",
        "NVIDIA/cudnn-frontend#385: wrong gradients if several queries select the same key",
        sparse,
        normals(61, (5, 2), (6, 2), (6, 2)),
        None,
        "A key that several queries select gets the gradient of the last alone.",
        ("last_window_only",),
    ),
]
