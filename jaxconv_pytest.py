"""The pytest fixture `check_rule`, which the installed package brings.

    def test_my_rule(check_rule):
        check_rule(my_rule, (x, w), reference)

pytest imports this when it starts, in every project that has jaxconv installed, and before
coverage is measured. So it is no part of the package, which imports JAX.
"""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="session")
def check_rule() -> Callable[..., Any]:
    """`jaxconv.check.check_rule`, which fails the test with the report unless all holds."""
    from jaxconv.check import check_rule as check

    def checked(*args: Any, **keywords: Any) -> Any:
        __tracebackhide__ = True
        report = check(*args, **keywords)
        if not report.ok:
            pytest.fail(str(report), pytrace=False)
        return report

    return checked
