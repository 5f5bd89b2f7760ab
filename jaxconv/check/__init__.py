"""The court: puts any rule on trial against autodiff, and says which mistake it finds.

    from jaxconv.check import check_rule
    check_rule(my_rule, (x, w), reference).raise_if_failed()

`catalogue` holds one record of every op of this package, from which its own tests are made.
"""

from jaxconv.check.case import Case
from jaxconv.check.judge import check_rule
from jaxconv.check.report import Costs, Diagnosis, Failure, GradientError, Report

__all__ = ["Case", "Costs", "Diagnosis", "Failure", "GradientError", "Report", "check_rule"]
