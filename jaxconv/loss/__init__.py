"""Losses: one number from predictions and labels, and its gradient."""

from jaxconv.loss.kl_divergence import kl_divergence
from jaxconv.loss.multiclass_hinge_loss import multiclass_hinge_loss
from jaxconv.loss.nll_loss import nll_loss
from jaxconv.loss.regression import (
    huber_loss,
    l2_loss,
    mean_absolute_error,
    mean_squared_error,
)
from jaxconv.loss.sigmoid_binary_cross_entropy import focal_loss, sigmoid_binary_cross_entropy
from jaxconv.loss.softmax_cross_entropy import softmax_cross_entropy

__all__ = [
    "focal_loss",
    "huber_loss",
    "kl_divergence",
    "l2_loss",
    "mean_absolute_error",
    "mean_squared_error",
    "multiclass_hinge_loss",
    "nll_loss",
    "sigmoid_binary_cross_entropy",
    "softmax_cross_entropy",
]
