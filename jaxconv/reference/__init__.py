"""The twins: the ops of `jaxconv` in plain `lax`, with JAX's own gradients.

Same names, same signatures, no `custom_vjp` anywhere. They are the oracle of the tests, the
baseline of the benchmarks and the way to forward mode, which `custom_vjp` refuses:

    import jaxconv.reference as ops

They are called with what the ops were called with, and leave it to those to refuse it.
"""

from jaxconv.reference.activation import (
    celu,
    elu,
    gelu,
    glu,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    hardshrink,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_sign,
    softmax,
    softplus,
    softshrink,
    squareplus,
    tanh,
    tanhshrink,
    threshold,
)
from jaxconv.reference.compiler import compiler_options
from jaxconv.reference.conv import conv, conv_general_dilated, conv_transpose
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
from jaxconv.reference.normalization import (
    batch_norm,
    batch_norm_inference,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
    weight_standardize,
)
from jaxconv.reference.padding import pad
from jaxconv.reference.pooling import avg_pool, max_pool
from jaxconv.reference.resampling import (
    fold,
    pixel_shuffle,
    pixel_unshuffle,
    resize,
    unfold,
    upsample,
)

__all__ = [
    "avg_pool",
    "batch_norm",
    "batch_norm_inference",
    "celu",
    "compiler_options",
    "conv",
    "conv_general_dilated",
    "conv_transpose",
    "dense",
    "drop_path",
    "dropout",
    "elu",
    "focal_loss",
    "fold",
    "gelu",
    "glu",
    "group_norm",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "hardshrink",
    "huber_loss",
    "instance_norm",
    "kl_divergence",
    "l2_loss",
    "layer_norm",
    "leaky_relu",
    "local_response_norm",
    "log_sigmoid",
    "log_softmax",
    "max_pool",
    "mean_absolute_error",
    "mean_squared_error",
    "mish",
    "multiclass_hinge_loss",
    "nll_loss",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prelu",
    "relu",
    "relu6",
    "resize",
    "rms_norm",
    "selu",
    "sigmoid",
    "sigmoid_binary_cross_entropy",
    "silu",
    "soft_sign",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "softshrink",
    "squareplus",
    "tanh",
    "tanhshrink",
    "threshold",
    "unfold",
    "upsample",
    "weight_standardize",
]
