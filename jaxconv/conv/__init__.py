"""Convolutions: `conv`, `conv_transpose` and `conv_general_dilated`."""

from jaxconv.conv.conv import conv
from jaxconv.conv.conv_general_dilated import conv_general_dilated
from jaxconv.conv.conv_transpose import conv_transpose

__all__ = ["conv", "conv_general_dilated", "conv_transpose"]
