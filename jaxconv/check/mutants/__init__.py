"""Mutation tests of the gradient checker: it must notice every rule that was broken on purpose.

python -m jaxconv.check --mutants conv max_pool
"""

from jaxconv.check.mutants.matrix import Matrix
from jaxconv.check.mutants.trial import OpTrial, Verdict, try_op

__all__ = ["Matrix", "OpTrial", "Verdict", "try_op"]
