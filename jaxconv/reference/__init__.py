"""The reference implementations: the ops of `jaxconv` in plain `lax`, with JAX's own gradients.

They have the same names and signatures, and no `custom_vjp` anywhere. The tests compare the ops
with them, and they are the baseline of the benchmarks. Use them for forward mode, which a
`custom_vjp` does not support:

    import jaxconv.reference as ops

They expect valid arguments; the checks with their error messages are left to the ops.
"""

from jaxconv.reference import activation, loss, normalization, pooling, resampling
from jaxconv.reference.activation import *
from jaxconv.reference.compiler import compiler_options
from jaxconv.reference.conv import conv, conv_general_dilated, conv_transpose
from jaxconv.reference.dense import dense
from jaxconv.reference.dropout import drop_path, dropout
from jaxconv.reference.loss import *
from jaxconv.reference.normalization import *
from jaxconv.reference.padding import pad
from jaxconv.reference.pooling import *
from jaxconv.reference.resampling import *

__all__ = [
    "compiler_options",
    "conv",
    "conv_general_dilated",
    "conv_transpose",
    "dense",
    "drop_path",
    "dropout",
    "pad",
]
__all__ += activation.__all__
__all__ += loss.__all__
__all__ += normalization.__all__
__all__ += pooling.__all__
__all__ += resampling.__all__
