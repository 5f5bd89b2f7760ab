"""ConvNet layers in JAX as pure functions whose backward passes are derived by hand.

Every op here has a twin of the same name and signature in `jaxconv.reference`, written in
plain `lax` and differentiated by JAX. The two are held against each other by the tests.
"""

from jaxconv.activation import relu
from jaxconv.conv import conv, conv_transpose
from jaxconv.dense import dense
from jaxconv.loss import softmax_cross_entropy
from jaxconv.padding import pad
from jaxconv.pooling import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    global_avg_pool,
    global_max_pool,
    lp_pool,
    max_pool,
    max_pool_with_indices,
    max_unpool,
    min_pool,
    subsample,
)

__version__ = "0.1.0"

__all__ = [
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "avg_pool",
    "conv",
    "conv_transpose",
    "dense",
    "global_avg_pool",
    "global_max_pool",
    "lp_pool",
    "max_pool",
    "max_pool_with_indices",
    "max_unpool",
    "min_pool",
    "pad",
    "relu",
    "softmax_cross_entropy",
    "subsample",
]
