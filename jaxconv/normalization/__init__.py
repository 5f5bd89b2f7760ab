"""Normalizations: ops that give each group of numbers a fixed mean and variance.

`_normalize.py` holds one backward pass for batch, layer, RMS, group and instance norm and weight
standardization, which differ only in the axes along which the numbers of a group lie.
"""

from jaxconv.normalization.batch_norm import batch_norm, batch_norm_inference
from jaxconv.normalization.group_norm import group_norm, instance_norm, weight_standardize
from jaxconv.normalization.layer_norm import layer_norm, rms_norm
from jaxconv.normalization.local_response_norm import local_response_norm

__all__ = [
    "batch_norm",
    "batch_norm_inference",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "rms_norm",
    "weight_standardize",
]
