"""ConvNet layers in JAX as pure functions whose backward passes are derived by hand.

Every op has a reference implementation of the same name and signature in `jaxconv.reference`,
which is written in plain `lax` and differentiated by JAX. The tests compare the two.
"""

from jaxconv import activation, loss, normalization, pooling, resampling
from jaxconv import reference as reference

# From the files and not from the folder: mypy does not see names through two star imports.
from jaxconv.activation.exponential import *
from jaxconv.activation.gated import *
from jaxconv.activation.hard import *
from jaxconv.activation.rectifiers import *
from jaxconv.activation.shrinking import *
from jaxconv.activation.sigmoidal import *
from jaxconv.activation.softmax import *
from jaxconv.compiler import compiler_options
from jaxconv.conv import conv, conv_general_dilated, conv_transpose
from jaxconv.dense import dense
from jaxconv.dropout import drop_path, dropout
from jaxconv.loss import *
from jaxconv.normalization import *
from jaxconv.padding import pad
from jaxconv.pooling import *
from jaxconv.resampling import *
from jaxconv.transform import by_hand, survey

__version__ = "0.1.0"

__all__ = [
    "by_hand",
    "compiler_options",
    "conv",
    "conv_general_dilated",
    "conv_transpose",
    "dense",
    "drop_path",
    "dropout",
    "pad",
    "survey",
]
__all__ += activation.__all__
__all__ += loss.__all__
__all__ += normalization.__all__
__all__ += pooling.__all__
__all__ += resampling.__all__
