"""Flax's normalization and pooling layers with this library's backward passes.

`jaxconv.flax.linen` holds those of `flax.linen`, `jaxconv.flax.nnx` those of `flax.nnx`.
"""
