"""PyTorch's pooling."""

from functools import partial

import torch.nn.functional as F


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


def _pairs(sample):
    """The padding as one pair per dimension, or None where a name is meant."""
    padding, dims = sample.options.get("padding", "VALID"), len(sample.options["window"])
    if isinstance(padding, str):
        return ((0, 0),) * dims if padding.upper() == "VALID" else None
    if isinstance(padding, int):
        padding = (padding,) * dims
    return tuple((p, p) if isinstance(p, int) else p for p in padding)


def _symmetric(sample):
    """PyTorch's keywords if it can pool so: as much padding before as after, half of K at most."""
    o = sample.options
    pairs = _pairs(sample)
    if pairs is None or any(low != high for low, high in pairs):
        return None
    if any(2 * low > k for (low, _), k in zip(pairs, o["window"], strict=True)):
        return None
    padding = tuple(low for low, _ in pairs)
    return {"stride": o["stride"], "padding": padding, "ceil_mode": o["ceil_mode"]}


def _no_empty_batch(sample):
    """PyTorch refuses most empty batches."""
    return all(a.size for a in sample.arrays.values())


def _max_pool(sample, *, sign=1, indices=False):
    o, keywords = sample.options, _symmetric(sample)
    if keywords is None or o.get("ties", "first") != "first" or not _no_empty_batch(sample):
        return None
    pool = partial(
        _pooling(sample, "max_pool"), kernel_size=o["window"], dilation=o["dilation"], **keywords
    )
    if not indices:
        return _first(o["layout"], lambda x: sign * pool(sign * x))

    def located(x):
        last = o["layout"] == "channels_last"
        y, found = pool(x.movedim(-1, 1) if last else x, return_indices=True)
        return tuple(t.movedim(1, -1) if last else t for t in (y, found))

    return located


def _avg_pool(sample):
    o, keywords = sample.options, _symmetric(sample)
    one = len(o["window"]) == 1
    if keywords is None or not _no_empty_batch(sample) or (one and o["divisor"] is not None):
        return None
    keywords["count_include_pad"] = o["count_include_pad"]
    if not one:
        keywords["divisor_override"] = o["divisor"]
    pool = partial(_pooling(sample, "avg_pool"), kernel_size=o["window"], **keywords)
    return _first(o["layout"], pool)


def _lp_pool(sample):
    """No padding; a window that hangs over is scaled up there, so ceil_mode must not matter."""
    o, pairs = sample.options, _pairs(sample)
    if pairs is None or any(map(any, pairs)) or o["ceil_mode"] or not _no_empty_batch(sample):
        return None
    pool = _pooling(sample, "lp_pool")
    return _first(
        o["layout"], lambda x: pool(x.abs(), float(o["p"]), o["window"], stride=o["stride"])
    )


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
    "max_unpool": "torch refuses indices out of range and does not add up what meets;"
    " tests/pooling/test_indices.py holds the two together where each index occurs once",
}
