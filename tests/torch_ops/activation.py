"""The activations in PyTorch."""

import torch

F = torch.nn.functional


def elementwise(function):
    """`function` of x and the options, which PyTorch calls by the same names."""
    return lambda sample: lambda x: function(x, **sample.options)


def prelu(sample):
    """PyTorch knows one α for all, or one per channel of axis 1."""
    shape, alpha = sample.arrays["x"].shape, sample.arrays["alpha"].shape
    if alpha in ((), (1,)) and (shape == () or alpha == ()):
        return lambda x, alpha: F.prelu(x, alpha.reshape(1))
    if alpha == shape[-1:] and len(shape) > 1:
        return lambda x, alpha: F.prelu(x.movedim(-1, 1), alpha).movedim(1, -1)
    if len(shape) == 3 and alpha == (shape[1], 1):
        return lambda x, alpha: F.prelu(x, alpha[:, 0])
    return None


def gelu(sample):
    approximate = sample.options.get("approximate", True)
    return lambda x: F.gelu(x, approximate="tanh" if approximate else "none")


def over_axes(function):
    """PyTorch takes one axis: merge several into one, and take them apart again."""

    def of_sample(sample):
        axis = sample.options.get("axis", -1)
        axes = (axis,) if isinstance(axis, int) else axis

        def of_tensor(x):
            ends = tuple(range(-len(axes), 0))
            moved = x.movedim(axes, ends)
            y = function(moved.flatten(-len(axes)), dim=-1)
            return y.reshape(moved.shape).movedim(ends, axes)

        return of_tensor

    return of_sample


def glu(sample):
    return lambda x: F.glu(x, dim=sample.options.get("axis", -1))


TORCH = {
    "relu": elementwise(torch.relu),
    "relu6": elementwise(F.relu6),
    "leaky_relu": elementwise(F.leaky_relu),
    "prelu": prelu,
    # F.hardsigmoid's backward pass has 1/6 in float32, even for a float64 x.
    "hard_sigmoid": elementwise(lambda x: F.relu6(x + 3) / 6),
    "hard_silu": elementwise(F.hardswish),
    "hard_tanh": elementwise(F.hardtanh),
    "softshrink": elementwise(F.softshrink),
    "hardshrink": elementwise(F.hardshrink),
    "tanhshrink": elementwise(F.tanhshrink),
    "threshold": elementwise(F.threshold),
    "elu": elementwise(F.elu),
    "celu": elementwise(F.celu),
    "selu": elementwise(F.selu),
    "softplus": elementwise(lambda x: F.softplus(x, threshold=1e3)),  # by default y = x from 20 on
    "sigmoid": elementwise(torch.sigmoid),
    "log_sigmoid": elementwise(F.logsigmoid),
    "tanh": elementwise(torch.tanh),
    "soft_sign": elementwise(F.softsign),
    "silu": elementwise(F.silu),
    "gelu": gelu,
    "mish": elementwise(F.mish),
    "glu": glu,
    "softmax": over_axes(F.softmax),
    "log_softmax": over_axes(F.log_softmax),
}
WITHOUT = {"squareplus": "PyTorch has no squareplus"}
