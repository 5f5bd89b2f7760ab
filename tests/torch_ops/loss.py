"""The losses of PyTorch."""

import torch
import torch.nn.functional as F


def _labels(sample, name, arrays):
    """The labels, differentiated or not."""
    if name in sample.arrays:
        return arrays[name]
    return torch.tensor(sample.fixed[name])


def _named(function):
    """From a function of (sample, dict of tensors) to one of a sample."""

    def of(sample):
        if not function.can(sample):
            return None
        return lambda *tensors: function(sample, dict(zip(sample.arrays, tensors, strict=True)))

    return of


def _where(can):
    """Mark which samples the function can do."""

    def mark(function):
        function.can = can
        return _named(function)

    return mark


def _per_class(sample):
    """Weights per class or none, as PyTorch has; a mean over probabilities only without."""
    name = "logits" if "logits" in sample.arrays else "log_probs"
    *examples, classes = sample.arrays[name].shape
    w = sample.arrays.get("weights")
    if w is not None and (w.shape != (classes,) or "labels" in sample.arrays):
        return False
    return 0 not in examples  # where nothing counts its mean is NaN


@_where(_per_class)
def _cross_entropy(sample, arrays):
    labels = _labels(sample, "labels", arrays)
    options = dict(sample.options)
    ignored = options.pop("ignore_index", None)
    if ignored is not None:
        options["ignore_index"] = ignored
    z = arrays["logits"]
    axis = 1 if z.ndim > 1 else 0
    if labels.dtype.is_floating_point:
        labels = labels.movedim(-1, axis)
    return F.cross_entropy(z.movedim(-1, axis), labels, arrays.get("weights"), **options)


@_where(lambda sample: _per_class(sample) and "labels" in sample.fixed)
def _likelihood(sample, arrays):
    x = arrays["log_probs"]
    options = {name: value for name, value in sample.options.items() if value is not None}
    axis = 1 if x.ndim > 1 else 0
    labels = torch.tensor(sample.fixed["labels"])
    return F.nll_loss(x.movedim(-1, axis), labels, arrays.get("weights"), **options)


def _without_mean_of_weights(sample):
    """Its mean divides by the number of elements, weights or not; and of none it is NaN."""
    reduction = sample.options["reduction"]
    empty = sample.arrays["logits"].size == 0
    return reduction != "mean" or not ("weights" in sample.arrays or empty)


@_where(_without_mean_of_weights)
def _binary(sample, arrays):
    return F.binary_cross_entropy_with_logits(
        arrays["logits"],
        _labels(sample, "labels", arrays).to(torch.float64),
        arrays.get("weights"),
        pos_weight=arrays.get("pos_weight"),
        reduction=sample.options["reduction"],
    )


def _mean_of_something(sample):
    empty = next(iter(sample.arrays.values())).size == 0
    return sample.options["reduction"] != "mean" or not empty


def _pair(function):
    @_where(_mean_of_something)
    def loss(sample, arrays):
        return function(arrays["prediction"], arrays["target"], **sample.options)

    return loss


def _halved(prediction, target, reduction):
    return 0.5 * F.mse_loss(prediction, target, reduction=reduction)


@_where(_mean_of_something)
def _focal(sample, arrays):
    """As torchvision spells it, without alpha."""
    z = arrays["prediction"]
    t = _labels(sample, "target", arrays).to(torch.float64)
    p = torch.sigmoid(z)
    entropy = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    loss = entropy * (1 - (p * t + (1 - p) * (1 - t))) ** sample.options["gamma"]
    return getattr(loss, sample.options["reduction"], lambda: loss)()


@_where(lambda sample: _mean_of_something(sample) and sample.arrays["scores"].ndim > 1)
def _hinge(sample, arrays):
    """Its own, multi_margin_loss, counts every rival; of one rival it is this one."""
    s = arrays["scores"].reshape(-1, arrays["scores"].shape[-1])
    labels = torch.tensor(sample.fixed["labels"]).reshape(-1, 1)
    others = s.scatter(1, labels, -torch.inf).amax(1, keepdim=True)
    pair = torch.cat([s.gather(1, labels), others], 1)
    loss = 2 * F.multi_margin_loss(
        pair, torch.zeros(len(s), dtype=int), margin=sample.options["margin"], reduction="none"
    )
    loss = loss.reshape(arrays["scores"].shape[:-1])
    return getattr(loss, sample.options["reduction"], lambda: loss)()


TORCH = {
    "softmax_cross_entropy": _cross_entropy,
    "nll_loss": _likelihood,
    "sigmoid_binary_cross_entropy": _binary,
    "focal_loss": _focal,
    "mean_squared_error": _pair(F.mse_loss),
    "mean_absolute_error": _pair(F.l1_loss),
    "l2_loss": _pair(_halved),
    "huber_loss": _pair(F.huber_loss),
    "kl_divergence": _pair(F.kl_div),
    "multiclass_hinge_loss": _hinge,
}
WITHOUT = {}
