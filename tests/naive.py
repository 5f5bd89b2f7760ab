"""The definitions, written out in numpy loops: slow, and independent of all that is tested.

Nothing here imports jaxconv. Every function takes explicit (low, high) padding.
"""

import itertools
import math

import numpy as np


def resolve(padding, size, window, stride, dilation):
    """(low, high) per dimension, from the definitions of the names."""
    if not isinstance(padding, str):
        pairs = [padding] * len(size) if np.ndim(padding) == 0 else list(padding)
        return [(p, p) if np.ndim(p) == 0 else tuple(p) for p in pairs]
    pairs = []
    for n, k, s, d in zip(size, window, stride, dilation, strict=True):
        span = d * (k - 1) + 1
        if padding.upper() == "VALID":
            pairs.append((0, 0))
        elif padding.upper() == "CAUSAL":
            pairs.append((span - 1, 0))
        else:
            total = max((math.ceil(n / s) - 1) * s + span - n, 0)
            small, large = total // 2, total - total // 2
            pairs.append((small, large) if padding.upper() == "SAME" else (large, small))
    return pairs


def source(p, n, mode):
    """The position that padded position p is copied from; None is a zero."""
    if 0 <= p < n:
        return p
    if mode == "zeros":
        return None
    if mode == "circular":
        return p % n
    if mode == "replicate":
        return 0 if p < 0 else n - 1
    while not 0 <= p < n:  # reflect: bounce off the borders until inside
        p = 0 if n == 1 else (-p if p < 0 else 2 * (n - 1) - p)
    return p


def to_last(x, layout):
    """(N, *spatial, C) whatever came."""
    return x if layout == "channels_last" else np.moveaxis(x, 1, -1)


def from_last(y, layout):
    return y if layout == "channels_last" else np.moveaxis(y, -1, 1)


def conv(
    x, w, b=None, *, stride, padding, dilation, groups, padding_mode, flip_kernel, layout
):  # fmt: skip
    """y[n, i, k] = Σ_{a,c} x[n, s·i + d·a − low, c] · w[a, c, k] + b[k]."""
    x = to_last(x, layout)
    if layout == "channels_first":
        w = np.moveaxis(w, (0, 1), (-1, -2))
    *window, c_in, c_out = w.shape
    size = x.shape[1:-1]
    pairs = resolve(padding, size, window, stride, dilation)
    out = [
        (n + low + high - d * (k - 1) - 1) // s + 1
        for n, k, s, d, (low, high) in zip(size, window, stride, dilation, pairs, strict=True)
    ]
    y = np.zeros((x.shape[0], *out, c_out), x.dtype)
    for i in np.ndindex(*out):
        for a in np.ndindex(*window):
            p = [
                source(s * i_ + d * a_ - low, n, padding_mode)
                for i_, a_, n, s, d, (low, _) in zip(
                    i, a, size, stride, dilation, pairs, strict=True
                )
            ]
            if None in p:
                continue
            kernel = (
                w[tuple(k - 1 - a_ for k, a_ in zip(window, a, strict=True))]
                if flip_kernel
                else w[a]
            )
            for g in range(groups):
                inputs = slice(g * c_in, (g + 1) * c_in)
                outputs = slice(g * c_out // groups, (g + 1) * c_out // groups)
                y[(slice(None), *i, outputs)] += x[(slice(None), *p, inputs)] @ kernel[:, outputs]
    if b is not None:
        y = y + b
    return from_last(y, layout)


def conv_transpose(
    x, w, b=None, *, stride, padding, output_padding, dilation, groups, layout
):  # fmt: skip
    """Every x[n, i, c] stamps x[n, i, c] · w[a, k, c] onto y[n, s·i + d·a − low, k]."""
    x = to_last(x, layout)
    if layout == "channels_first":
        w = np.moveaxis(w, (0, 1), (-1, -2))
    *window, c_out, c_in = w.shape
    size = x.shape[1:-1]
    stretched = [n * s for n, s in zip(size, stride, strict=True)]
    pairs = resolve(padding, stretched, window, stride, dilation)
    if isinstance(padding, str) and padding.upper().startswith("SAME"):
        out = stretched
    else:
        out = [
            (n - 1) * s + d * (k - 1) + 1 - low - high + more
            for n, k, s, d, (low, high), more in zip(
                size, window, stride, dilation, pairs, output_padding, strict=True
            )
        ]
    y = np.zeros((x.shape[0], *out, c_out * groups), x.dtype)
    for i in np.ndindex(*size):
        for a in np.ndindex(*window):
            p = [
                s * i_ + d * a_ - low
                for i_, a_, s, d, (low, _) in zip(i, a, stride, dilation, pairs, strict=True)
            ]
            if not all(0 <= q < o for q, o in zip(p, out, strict=True)):
                continue
            for g in range(groups):
                inputs = slice(g * c_in // groups, (g + 1) * c_in // groups)
                outputs = slice(g * c_out, (g + 1) * c_out)
                y[(slice(None), *p, outputs)] += x[(slice(None), *i, inputs)] @ w[a][:, inputs].T
    if b is not None:
        y = y + b
    return from_last(y, layout)


def windows(size, window, *, stride, padding, dilation, ceil_mode):
    """For every window, its output position, the (offset, position) pairs inside, and the pads."""
    stride = window if stride is None else stride
    pairs = resolve(padding, size, window, stride, dilation)
    out = []
    for n, k, s, d, (low, high) in zip(size, window, stride, dilation, pairs, strict=True):
        starts = itertools.takewhile(
            lambda i, n=n, k=k, s=s, d=d, low=low, high=high: s * i + d * (k - 1) < n + low + high,
            itertools.count(),
        )
        count = len(list(starts))
        unseen = s * (count - 1) + d * (k - 1) + 1 < n + low + high
        if ceil_mode and unseen and s * count - low < n:
            count += 1
        out.append(count)
    for i in np.ndindex(*out):
        places = []
        for a in np.ndindex(*window):
            p = tuple(
                s * i_ + d * a_ - low
                for i_, a_, s, d, (low, _) in zip(i, a, stride, dilation, pairs, strict=True)
            )
            places.append(p)
        yield i, places, pairs


def max_pool(x, window, dy=None, *, ties="first", layout, **geometry):
    """y, and dx if a cotangent is given."""
    geometry.setdefault("dilation", (1,) * len(window))
    x = to_last(x, layout)
    size = x.shape[1:-1]
    found = list(windows(size, window, **geometry))
    out = tuple(m + 1 for m in max(i for i, _, _ in found))
    y = np.zeros((x.shape[0], *out, x.shape[-1]), x.dtype)
    dx = np.zeros_like(x)
    if dy is not None:
        dy = to_last(dy, layout)
    for i, places, _ in found:
        inside = [p for p in places if all(0 <= q < n for q, n in zip(p, size, strict=True))]
        for n, c in np.ndindex(x.shape[0], x.shape[-1]):
            values = [x[(n, *p, c)] for p in inside]
            largest = max(values, default=-np.inf)
            y[(n, *i, c)] = largest
            if dy is None:
                continue
            winners = [p for p, v in zip(inside, values, strict=True) if v == largest]
            share = dy[(n, *i, c)] / (len(winners) or 1 if ties == "split" else 1)
            for p in winners[:1] if ties == "first" else winners:
                dx[(n, *p, c)] += share
    return from_last(y, layout), from_last(dx, layout)


def avg_pool(x, window, dy=None, *, count_include_pad, divisor, layout, **geometry):
    """y, and dx if a cotangent is given."""
    x = to_last(x, layout)
    size = x.shape[1:-1]
    found = list(windows(size, window, dilation=(1,) * len(window), **geometry))
    out = tuple(m + 1 for m in max(i for i, _, _ in found))
    y = np.zeros((x.shape[0], *out, x.shape[-1]), x.dtype)
    dx = np.zeros_like(x)
    if dy is not None:
        dy = to_last(dy, layout)
    for i, places, pairs in found:
        inside = [p for p in places if all(0 <= q < n for q, n in zip(p, size, strict=True))]
        padded = [
            p
            for p in places
            if all(-low <= q < n + high for q, n, (low, high) in zip(p, size, pairs, strict=True))
        ]
        count = divisor or len(padded if count_include_pad else inside) or 1
        for p in inside:
            y[(slice(None), *i)] += x[(slice(None), *p)] / count
            if dy is not None:
                dx[(slice(None), *p)] += dy[(slice(None), *i)] / count
    return from_last(y, layout), from_last(dx, layout)


def softmax_cross_entropy(z, labels, *, weights, label_smoothing, ignore_index, reduction):
    """Loss from the definition, one example and one class at a time; weights as (…, C)."""
    *examples, classes = z.shape
    losses = np.zeros(examples)
    total_weight = 0.0
    for i in np.ndindex(*examples):
        if labels.shape == z.shape:
            t = labels[i]
        elif labels[i] == ignore_index:
            continue
        else:
            t = np.eye(classes)[labels[i]]
        p = np.exp(z[i] - np.max(z[i]))
        p = p / p.sum()
        for c in range(classes):
            w = 1.0 if weights is None else weights[(*i, c)]
            losses[i] -= (
                w * ((1 - label_smoothing) * t[c] + label_smoothing / classes) * np.log(p[c])
            )
            total_weight += w * t[c] if weights is not None else 1 / classes
    if reduction == "none":
        return losses
    return losses.sum() / (total_weight if reduction == "mean" and total_weight else 1)
