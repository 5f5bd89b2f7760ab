"""The convolutions."""

from jaxconv.conv.correlation import conv
from jaxconv.conv.general import conv_general_dilated
from jaxconv.conv.transposed import conv_transpose

__all__ = ["conv", "conv_general_dilated", "conv_transpose"]
