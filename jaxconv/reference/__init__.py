"""The twins: the ops of `jaxconv` in plain `lax`, with JAX's own gradients.

Same names, same signatures, no `custom_vjp` anywhere. They are the oracle of the tests, the
baseline of the benchmarks and the way to forward mode, which `custom_vjp` refuses:

    import jaxconv.reference as ops

They are called with what the ops were called with, and leave it to those to refuse it.
"""

from jaxconv.reference.activation import relu
from jaxconv.reference.conv import conv, conv_transpose
from jaxconv.reference.dense import dense
from jaxconv.reference.dropout import drop_path, dropout
from jaxconv.reference.loss import (
    focal_loss,
    huber_loss,
    kl_divergence,
    l2_loss,
    mean_absolute_error,
    mean_squared_error,
    multiclass_hinge_loss,
    nll_loss,
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
)
from jaxconv.reference.padding import pad
from jaxconv.reference.pooling import avg_pool, max_pool

__all__ = [
    "avg_pool",
    "conv",
    "conv_transpose",
    "dense",
    "drop_path",
    "dropout",
    "focal_loss",
    "huber_loss",
    "kl_divergence",
    "l2_loss",
    "max_pool",
    "mean_absolute_error",
    "mean_squared_error",
    "multiclass_hinge_loss",
    "nll_loss",
    "pad",
    "relu",
    "sigmoid_binary_cross_entropy",
    "softmax_cross_entropy",
]
