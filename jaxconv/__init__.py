"""ConvNet layers in JAX as pure functions whose backward passes are derived by hand.

Every op here has a twin of the same name and signature in `jaxconv.reference`, written in
plain `lax` and differentiated by JAX. The two are held against each other by the tests.
"""

from jaxconv.activation import (
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
from jaxconv.compiler import compiler_options
from jaxconv.conv import conv, conv_general_dilated, conv_transpose
from jaxconv.dense import dense
from jaxconv.loss import softmax_cross_entropy
from jaxconv.normalization import (
    batch_norm,
    batch_norm_inference,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
    weight_standardize,
)
from jaxconv.padding import pad
from jaxconv.pooling import avg_pool, max_pool

__version__ = "0.1.0"

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
    "elu",
    "gelu",
    "glu",
    "group_norm",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "hardshrink",
    "instance_norm",
    "layer_norm",
    "leaky_relu",
    "local_response_norm",
    "log_sigmoid",
    "log_softmax",
    "max_pool",
    "mish",
    "pad",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "selu",
    "sigmoid",
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
    "weight_standardize",
]
