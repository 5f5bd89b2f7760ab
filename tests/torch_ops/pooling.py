"""PyTorch's pooling."""

import math
from functools import partial

import naive
import numpy as np
import torch.nn.functional as F  # noqa: N812


def _first(layout, op):
    """`op` over channels_first images as an op over images in `layout`."""
    if layout == "channels_first":
        return op

    def moved(x, *others):
        out = op(*(t.movedim(-1, 1) for t in (x, *others)))
        return out if out.ndim < 3 else out.movedim(1, -1)

    return moved


def _pooling(sample, name):
    """PyTorch's function of that name for the sample's number of dimensions."""
    x = next(iter(sample.arrays.values()))
    return getattr(F, f"{name}{x.ndim - 2}d")


def _padded(sample, fill):
    """The border laid around x beforehand, and PyTorch's keywords for the rest.

    PyTorch pads as much after as before, by half a window at most. A border laid on beforehand
    may be any, but with ceil_mode it would count as a part of x.
    """
    o, x = sample.options, sample.arrays["x"]
    size = x.shape[1:-1] if o["layout"] == "channels_last" else x.shape[2:]
    ones = (1,) * len(size)
    stride = o["stride"] or o["window"]
    pairs = naive.resolve(o["padding"], size, o["window"], stride, o.get("dilation", ones))
    keywords = {"stride": stride, "ceil_mode": o["ceil_mode"]}
    if not o["ceil_mode"]:
        widths = [width for pair in reversed(pairs) for width in pair]
        return (lambda x: F.pad(x, widths, value=fill)), keywords
    fits = all(
        low == high and 2 * low <= k for (low, high), k in zip(pairs, o["window"], strict=True)
    )
    keywords["padding"] = tuple(low for low, _ in pairs)
    return ((lambda x: x), keywords) if fits else (None, None)


def _no_empty_batch(sample):
    """PyTorch refuses most empty batches."""
    return all(a.size for a in sample.arrays.values())


def _max_pool(sample, *, sign=1, indices=False):
    o = sample.options
    # PyTorch's indices count in what it was given, so with them it has to pad by itself.
    border, keywords = _padded(sample, -math.inf)
    if border is None or o.get("ties", "first") != "first" or not _no_empty_batch(sample):
        return None
    if indices and "padding" not in keywords and np.any(o["padding"]):
        return None
    pool = partial(
        _pooling(sample, "max_pool"), kernel_size=o["window"], dilation=o["dilation"], **keywords
    )
    if not indices:
        return _first(o["layout"], lambda x: sign * pool(border(sign * x)))

    def located(x):
        last = o["layout"] == "channels_last"
        y, found = pool(x.movedim(-1, 1) if last else x, return_indices=True)
        return tuple(t.movedim(1, -1) if last else t for t in (y, found))

    return located


def _avg_pool(sample):
    o = sample.options
    border, keywords = _padded(sample, 0.0)
    one = len(o["window"]) == 1
    if border is None or not _no_empty_batch(sample) or (one and o["divisor"] is not None):
        return None
    if "padding" in keywords:
        keywords["count_include_pad"] = o["count_include_pad"]
    elif not o["count_include_pad"] and o["divisor"] is None:
        return None
    if not one:
        keywords["divisor_override"] = o["divisor"]
    pool = partial(_pooling(sample, "avg_pool"), kernel_size=o["window"], **keywords)
    return _first(o["layout"], lambda x: pool(border(x)))


def _lp_pool(sample):
    """Sums x^p with its sign, and scales a window that hangs over up to a full one."""
    o = sample.options
    if o["ceil_mode"] or not _no_empty_batch(sample):
        return None
    border, keywords = _padded(sample, 0.0)
    if len(o["window"]) == 1:  # which multiplies by it
        keywords |= {"kernel_size": o["window"][0], "stride": keywords["stride"][0]}
    else:
        keywords["kernel_size"] = o["window"]
    pool = partial(_pooling(sample, "lp_pool"), norm_type=float(o["p"]))
    return _first(o["layout"], lambda x: pool(border(x).abs(), **keywords))


def _subsample(sample):
    o = sample.options
    if not _no_empty_batch(sample):
        return None
    pool = _pooling(sample, "avg_pool")
    size = 1
    for k in o["window"]:
        size *= k

    def subsample(x, weight, bias):
        shape = (-1, *(1,) * (x.ndim - 2))
        total = size * pool(x, o["window"])
        return weight.reshape(shape) * total + bias.reshape(shape)

    if o["layout"] == "channels_first":
        return subsample
    return lambda x, w, b: subsample(x.movedim(-1, 1), w, b).movedim(1, -1)


def _global(sample, name):
    o = sample.options
    if not _no_empty_batch(sample):
        return None

    def pool(x):
        y = _pooling(sample, name)(x, 1)
        return y if o["keepdims"] else y.flatten(1)

    return _first(o["layout"], pool)


def _adaptive(sample, name):
    o = sample.options
    if not _no_empty_batch(sample):
        return None
    return _first(o["layout"], lambda x: _pooling(sample, name)(x, o["output_size"]))


TORCH = {
    "max_pool": _max_pool,
    "min_pool": partial(_max_pool, sign=-1),
    "max_pool_with_indices": partial(_max_pool, indices=True),
    "avg_pool": _avg_pool,
    "lp_pool": _lp_pool,
    "subsample": _subsample,
    "global_avg_pool": partial(_global, name="adaptive_avg_pool"),
    "global_max_pool": partial(_global, name="adaptive_max_pool"),
    "adaptive_avg_pool": partial(_adaptive, name="adaptive_avg_pool"),
    "adaptive_max_pool": partial(_adaptive, name="adaptive_max_pool"),
}
WITHOUT = {
    "max_unpool": "torch refuses indices out of range and does not add up what meets",
}
