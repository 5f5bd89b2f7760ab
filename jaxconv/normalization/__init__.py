"""Normalizations: numbers that share a mean and a variance, and how a nudge moves them all.

`rule` holds the one derivation behind batch, layer, RMS, group and instance norm and weight
standardization; what differs is along which axes the numbers of a group lie.
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
