"""The twins: the ops of `jaxconv` in plain `lax`, with JAX's own gradients.

Same names, same signatures, no `custom_vjp` anywhere. They are the oracle of the tests, the
baseline of the benchmarks and the way to forward mode, which `custom_vjp` refuses:

    import jaxconv.reference as ops

They are called with what the ops were called with, and leave it to those to refuse it.
"""

from jaxconv.reference.activation import relu
from jaxconv.reference.conv import conv, conv_transpose
from jaxconv.reference.dense import dense
from jaxconv.reference.loss import softmax_cross_entropy
from jaxconv.reference.padding import pad
from jaxconv.reference.pooling import (
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
