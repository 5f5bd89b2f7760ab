"""ConvNet layers in JAX as pure functions whose backward passes are derived by hand.

Every op here has a twin of the same name and signature in `jaxconv.reference`, written in
plain `lax` and differentiated by JAX. The two are held against each other by the tests.
"""

from jaxconv.activation import relu
from jaxconv.conv import conv, conv_transpose
from jaxconv.dense import dense
from jaxconv.loss import softmax_cross_entropy
from jaxconv.padding import pad
from jaxconv.pooling import avg_pool, max_pool
from jaxconv.resampling import (
    fold,
    pixel_shuffle,
    pixel_unshuffle,
    resize,
    unfold,
    upsample,
)

__version__ = "0.1.0"

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
