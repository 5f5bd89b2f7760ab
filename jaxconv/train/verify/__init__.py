"""Comparison of hand-written gradients with JAX's, on a real batch.

compare.py  both gradients, parameter by parameter
verdict.py  whether they agree, said and shown
"""

from jaxconv.train.verify.compare import Comparison, compare_gradients
from jaxconv.train.verify.verdict import GradientMismatchError, check, verify

__all__ = ["Comparison", "GradientMismatchError", "check", "compare_gradients", "verify"]
