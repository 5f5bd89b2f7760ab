"""Pooling: one number for each window of each channel."""

from jaxconv.pooling.adaptive_pool import adaptive_avg_pool, adaptive_max_pool
from jaxconv.pooling.avg_pool import avg_pool
from jaxconv.pooling.global_pool import global_avg_pool, global_max_pool
from jaxconv.pooling.lp_pool import lp_pool
from jaxconv.pooling.max_pool import max_pool, min_pool
from jaxconv.pooling.max_pool_with_indices import max_pool_with_indices, max_unpool
from jaxconv.pooling.subsample import subsample

__all__ = [
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "avg_pool",
    "global_avg_pool",
    "global_max_pool",
    "lp_pool",
    "max_pool",
    "max_pool_with_indices",
    "max_unpool",
    "min_pool",
    "subsample",
]
