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
    "conv",
    "conv_transpose",
    "dense",
    "fold",
    "max_pool",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "relu",
    "resize",
    "softmax_cross_entropy",
    "unfold",
    "upsample",
]
