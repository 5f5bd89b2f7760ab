"""The gradient checker: compare a rule's gradient with autodiff and name the mistake, if any.

    from jaxconv.check import check_rule
    check_rule(my_rule, (x, w), reference).raise_if_failed()

`catalogue` holds one record for every op of this package; the package's tests are built from it.

Some names in the code: a `Trial` is one call of a rule in one dtype, the `Check` is the state that
all oracles (the single checks) share, and `Precedents` caches what the reference answered.
"""

from jaxconv.check.case import Case
from jaxconv.check.grading import check_backward
from jaxconv.check.judge import check_rule
from jaxconv.check.report import Costs, Diagnosis, Failure, GradientError, Report

__all__ = [
    "Case",
    "Costs",
    "Diagnosis",
    "Failure",
    "GradientError",
    "Report",
    "check_backward",
    "check_rule",
]
