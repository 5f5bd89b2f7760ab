"""The losses of PyTorch.

It has no gradient for weights. So a weighted loss is here PyTorch's loss of each example, times
its weight, and where PyTorch takes such weights its own value must be the same.
"""

import warnings

import torch
from torch.nn import functional as F  # noqa: N812


def _named(loss):
    """From a function of (sample, tensors by name) to one from samples to functions of tensors."""

    def of(sample):
        first, *_ = sample.arrays.values()
        if first.size == 0 and sample.options["reduction"] == "mean":
            return None  # it says NaN
        return lambda *tensors: loss(sample, dict(zip(sample.arrays, tensors, strict=True)))

    return of


def _reduced(sample, each, counted):
    match sample.options["reduction"]:
        case "none":
            return each
        case "sum":
            return each.sum()
        case "mean":  # of what counted; 0 if nothing did
            weight = counted.sum()
            return each.sum() / torch.where(weight == 0, 1, weight)


def _labels(sample, name, arrays):
    return arrays[name] if name in arrays else torch.tensor(sample.fixed[name])


def _classes_second(x):
    return x.movedim(-1, 1) if x.ndim > 1 else x


@_named
def _cross_entropy(sample, arrays):
    """One-hot if the labels are integers: for probabilities class weights have a gradient."""
    z, w, labels = arrays["logits"], arrays.get("weights"), _labels(sample, "labels", arrays)
    counts, t = torch.ones(z.shape[:-1], dtype=z.dtype), labels
    if not labels.dtype.is_floating_point:
        if (ignored := sample.options.get("ignore_index")) is not None:
            counts = (labels != ignored).to(z.dtype)
        t = F.one_hot(labels, z.shape[-1]) * counts[..., None]
    per_class = w is not None and w.shape == z.shape[-1:]
    keywords = {"label_smoothing": sample.options["label_smoothing"]}
    if w is None or per_class:
        each = F.cross_entropy(
            _classes_second(z), _classes_second(t), w, reduction="none", **keywords
        )
        each, weight = each * counts, counts if w is None else (t * w).sum(-1)
    elif w.numel() == counts.numel():
        each = F.cross_entropy(_classes_second(z), _classes_second(t), reduction="none", **keywords)
        w = w.reshape(counts.shape)
        each, weight = each * counts * w, t.sum(-1) * w
    else:  # a weight for each class of each example
        tau = (1 - keywords["label_smoothing"]) * t
        tau = tau + keywords["label_smoothing"] / z.shape[-1] * counts[..., None]
        each = -(w * tau * F.log_softmax(z, -1)).sum(-1)
        weight = (t * w).sum(-1)
    y = _reduced(sample, each, weight)
    if (w is None or per_class) and "labels" in sample.fixed and weight.sum() > 0:
        options = {name: value for name, value in sample.options.items() if value is not None}
        constant = None if w is None else w.detach()
        theirs = F.cross_entropy(_classes_second(z), labels, constant, **options)
        torch.testing.assert_close(y, theirs)
    return y


@_named
def _likelihood(sample, arrays):
    """Of integer labels PyTorch's own; of probabilities, which it does not take, the sum."""
    x, w, labels = arrays["log_probs"], arrays.get("weights"), _labels(sample, "labels", arrays)
    if labels.dtype.is_floating_point:
        w = torch.ones((), dtype=x.dtype) if w is None else w
        w = w[..., None] if w.ndim and w.shape != x.shape[-1:] and w.ndim < x.ndim else w
        counted = (labels * w).sum(-1)
        if "weights" not in arrays:
            counted = torch.ones_like(counted)
        return _reduced(sample, -(labels * w * x).sum(-1), counted)
    options = {name: value for name, value in sample.options.items() if value is not None}
    if w is None:
        return F.nll_loss(_classes_second(x), labels, **options)
    per_class = w.shape == x.shape[-1:]
    w_label = w[labels] if per_class else w.reshape(labels.shape)
    w_label = w_label * (labels != options.get("ignore_index"))
    each = F.nll_loss(_classes_second(x), labels, **options | {"reduction": "none"}) * w_label
    y = _reduced(sample, each, w_label)
    if per_class:
        theirs = F.nll_loss(_classes_second(x), labels, w.detach(), **options)
        torch.testing.assert_close(y, theirs)
    return y


@_named
def _binary(sample, arrays):
    z, w, p = arrays["logits"], arrays.get("weights"), arrays.get("pos_weight")
    t = _labels(sample, "labels", arrays).to(z.dtype)
    ones = torch.ones_like(z)
    loss = F.binary_cross_entropy_with_logits
    w_each, p_each = (ones if f is None else f * ones for f in (w, p))
    each = p_each * t * loss(z, ones, reduction="none")
    each = w_each * (each + (1 - t) * loss(z, 0 * ones, reduction="none"))
    torch.testing.assert_close(
        each, loss(z, t, w_each.detach(), pos_weight=p_each.detach(), reduction="none")
    )
    return _reduced(sample, each, w_each)


@_named
def _focal(sample, arrays):
    """As torchvision spells it, without alpha."""
    z = arrays["prediction"]
    t = _labels(sample, "target", arrays).to(z.dtype)
    p = torch.sigmoid(z)
    entropy = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    right = p * t + (1 - p) * (1 - t)
    each = entropy * (1 - right) ** sample.options["gamma"]
    return _reduced(sample, each, torch.ones_like(z))


@_named
def _hinge(sample, arrays):
    """PyTorch counts every rival; of the label and its best rival alone it is half of this."""
    s, labels = arrays["scores"], torch.tensor(sample.fixed["labels"])[..., None]
    rival = s.scatter(-1, labels, -torch.inf).amax(-1, keepdim=True)
    pair = torch.cat([s.gather(-1, labels), rival], -1).reshape(-1, 2)
    first = torch.zeros(len(pair), dtype=torch.int64)
    margin = sample.options["margin"]
    each = 2 * F.multi_margin_loss(pair, first, margin=margin, reduction="none")
    each = each.reshape(s.shape[:-1])
    return _reduced(sample, each, torch.ones_like(each))


def _pair(loss):
    @_named
    def of(sample, arrays):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # kl_div: its mean is that of elements
            return loss(arrays["prediction"], arrays["target"], **sample.options)

    return of


TORCH = {
    "softmax_cross_entropy": _cross_entropy,
    "nll_loss": _likelihood,
    "sigmoid_binary_cross_entropy": _binary,
    "focal_loss": _focal,
    "mean_squared_error": _pair(F.mse_loss),
    "mean_absolute_error": _pair(F.l1_loss),
    "l2_loss": _pair(lambda x, t, reduction: 0.5 * F.mse_loss(x, t, reduction=reduction)),
    "huber_loss": _pair(F.huber_loss),
    "kl_divergence": _pair(F.kl_div),
    "multiclass_hinge_loss": _hinge,
}
WITHOUT = {}
