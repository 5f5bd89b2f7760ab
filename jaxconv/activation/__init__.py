"""Activations: what follows a linear layer, and the derivative read off the output or the input."""

from jaxconv.activation.exponential import celu, elu, selu, softplus, squareplus
from jaxconv.activation.gated import gelu, glu, mish, silu
from jaxconv.activation.hard import hard_sigmoid, hard_silu, hard_tanh
from jaxconv.activation.rectifiers import leaky_relu, prelu, relu, relu6
from jaxconv.activation.shrinking import hardshrink, softshrink, tanhshrink, threshold
from jaxconv.activation.sigmoidal import log_sigmoid, sigmoid, soft_sign, tanh
from jaxconv.activation.softmax import log_softmax, softmax

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "hardshrink",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_sign",
    "softmax",
    "softplus",
    "softshrink",
    "squareplus",
    "tanh",
    "tanhshrink",
    "threshold",
]
