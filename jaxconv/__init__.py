"""ConvNet layers in JAX as pure functions whose backward passes are derived by hand.

Every op here has a twin of the same name and signature in `jaxconv.reference`, written in
plain `lax` and differentiated by JAX. The two are held against each other by the tests.
"""

from jaxconv.activation import relu
from jaxconv.conv import conv, conv_transpose
from jaxconv.dense import dense
from jaxconv.dropout import drop_path, dropout
from jaxconv.loss import (
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
from jaxconv.padding import pad
from jaxconv.pooling import avg_pool, max_pool

__version__ = "0.1.0"

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
