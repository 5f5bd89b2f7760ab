"""ConvNet layers in JAX as pure functions whose backward passes are derived by hand.

Every op here has a twin of the same name and signature in `jaxconv.reference`, written in
plain `lax` and differentiated by JAX. The two are held against each other by the tests.
"""

from jaxconv.activation import relu
from jaxconv.conv import conv, conv_transpose
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
    "conv",
    "conv_transpose",
    "dense",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "max_pool",
    "pad",
    "relu",
    "rms_norm",
    "softmax_cross_entropy",
    "weight_standardize",
]
