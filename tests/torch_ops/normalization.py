"""The normalizations in PyTorch."""

import math

import torch
from torch.nn import functional

WITHOUT = {}  # every op has a counterpart, or is two lines of torch


def _first(sample, x):
    """x with its channels first, as PyTorch has them."""
    return x if sample.options.get("layout") == "channels_first" else x.movedim(-1, 1)


def _back(sample, y):
    return y if sample.options.get("layout") == "channels_first" else y.movedim(1, -1)


def _named(sample, arrays):
    named = dict(zip(sample.arrays, arrays, strict=True))
    return named.get("scale"), named.get("bias")


def batch_norm(sample):
    if sample.arrays["x"].size == 0:
        return None  # leaves its running averages alone; here mean and variance are 0

    def call(x, scale, bias):
        x = _first(sample, x)
        eps = sample.options.get("eps", 1e-5)
        others = [axis for axis in range(x.ndim) if axis != 1]
        var, mean = torch.var_mean(x, others, correction=0)
        y = functional.batch_norm(x, None, None, scale, bias, training=True, eps=eps)
        return _back(sample, y), mean, var

    return call


def batch_norm_inference(sample):
    def call(x, scale, bias, mean, var):
        # functional.batch_norm has no gradient for its running averages.
        x, shape = _first(sample, x), (1, -1, *[1] * (x.ndim - 2))
        scale, bias, mean, var = (a.reshape(shape) for a in (scale, bias, mean, var))
        y = (x - mean) / torch.sqrt(var + sample.options["eps"]) * scale + bias
        return _back(sample, y)

    return call


def group_norm(sample):
    def call(x, scale, bias):
        groups, eps = sample.options["groups"], sample.options["eps"]
        y = functional.group_norm(_first(sample, x), groups, scale, bias, eps)
        return _back(sample, y)

    return call


def instance_norm(sample):
    x = sample.arrays["x"]
    if x.size == 0 or math.prod(_first(sample, torch.zeros(x.shape)).shape[2:]) == 1:
        return None  # raises for a single number

    def call(x, *rest):
        scale, bias = _named(sample, (x, *rest))
        y = functional.instance_norm(
            _first(sample, x), weight=scale, bias=bias, eps=sample.options["eps"]
        )
        return _back(sample, y)

    return call


def _trailing(norm):
    """A norm over the last axes, for any: the axes are moved there and back."""

    def of(sample):
        def call(x, *rest):
            axis, eps = sample.options["axis"], sample.options["eps"]
            axes = sorted(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))
            last = range(x.ndim - len(axes), x.ndim)
            shape = tuple(x.shape[a] for a in axes)
            y = norm(x.movedim(axes, tuple(last)), shape, *_named(sample, (x, *rest)), eps)
            return y.movedim(tuple(last), axes)

        return call

    return of


def _rms(x, shape, scale, _, eps):
    return functional.rms_norm(x, shape, scale, eps)


def weight_standardize(sample):
    if sample.arrays["w"].size == 0:
        return None  # refuses to take statistics of nothing

    def call(w):
        first = sample.options["layout"] == "channels_first"
        kernels = w if first else w.movedim(-1, 0)
        rows = kernels.reshape(1, kernels.shape[0], -1)
        y = functional.batch_norm(rows, None, None, training=True, eps=sample.options["eps"])
        y = y.reshape(kernels.shape)
        return y if first else y.movedim(0, -1)

    return call


def local_response_norm(sample):
    options = {k: v for k, v in sample.options.items() if k != "layout"}

    def call(x):
        x = _first(sample, x)
        images = x.reshape(*x.shape, 1) if x.ndim == 2 else x  # wants a spatial dimension
        y = functional.local_response_norm(images, **options)
        return _back(sample, y.reshape(x.shape))

    return call


TORCH = {
    "batch_norm": batch_norm,
    "batch_norm_inference": batch_norm_inference,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "layer_norm": _trailing(functional.layer_norm),
    "local_response_norm": local_response_norm,
    "rms_norm": _trailing(_rms),
    "weight_standardize": weight_standardize,
}
