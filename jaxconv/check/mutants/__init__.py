"""The court on trial: every rule of the catalogue, broken in every way known, must be caught.

python -m jaxconv.check --mutants conv max_pool
"""

from jaxconv.check.mutants.matrix import Matrix
from jaxconv.check.mutants.trial import OpTrial, Verdict, try_op

__all__ = ["Matrix", "OpTrial", "Verdict", "try_op"]
