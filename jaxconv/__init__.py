"""ConvNet layers in JAX as pure functions whose backward passes are derived by hand.

Every op here has a twin of the same name and signature in `jaxconv.reference`, written in
plain `lax` and differentiated by JAX. The two are held against each other by the tests.
"""

from jaxconv.activation import relu
from jaxconv.compiler import compiler_options
from jaxconv.conv import conv, conv_general_dilated, conv_transpose
from jaxconv.dense import dense
from jaxconv.loss import softmax_cross_entropy
from jaxconv.padding import pad
from jaxconv.pooling import avg_pool, max_pool

__version__ = "0.1.0"

__all__ = [
    "avg_pool",
    "compiler_options",
    "conv",
    "conv_general_dilated",
    "conv_transpose",
    "dense",
    "max_pool",
    "pad",
    "relu",
    "softmax_cross_entropy",
]
