"""Pooling: one number for each window of each channel."""

from jaxconv.pooling.adaptive import adaptive_avg_pool, adaptive_max_pool
from jaxconv.pooling.indices import max_pool_with_indices, max_unpool
from jaxconv.pooling.largest import max_pool, min_pool
from jaxconv.pooling.mean import avg_pool
from jaxconv.pooling.power import lp_pool
from jaxconv.pooling.subsampling import subsample
from jaxconv.pooling.whole import global_avg_pool, global_max_pool

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
